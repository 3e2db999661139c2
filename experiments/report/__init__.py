"""Shows what was measured, as Markdown tables and as one page of HTML.

`records` reads what runs and comparisons left behind (`checks` says whether it can be used), `tables` and `words` put it into
text, `pictures`, `charts` and `heat` make what a page shows beside it, `markdown` and `page` write.
"""
