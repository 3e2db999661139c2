"""Measures what dcjax costs, side by side with a PyTorch peer and with the machine's own limit."""
