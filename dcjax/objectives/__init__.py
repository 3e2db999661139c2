"""Objectives say what is compared: their loss is differentiated in the condensed data and in what is learned beside them.

DC, DSA, IDC     gradient_matching
DM               distribution_matching
DD, BPTT, RTP    unrolled
MTT, TESLA       trajectory_matching
wrappers         on_minibatch  on_classes
"""

from dcjax.objectives._matching import distribution_matching as distribution_matching
from dcjax.objectives._matching import gradient_matching as gradient_matching
from dcjax.objectives._parts import on_classes as on_classes
from dcjax.objectives._parts import on_minibatch as on_minibatch
from dcjax.objectives._trajectory_matching import trajectory_matching as trajectory_matching
from dcjax.objectives._unrolled import unrolled as unrolled
