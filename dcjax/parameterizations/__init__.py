"""Parameterizations say what is learned: pairs of pure functions that start a pytree and decode it to images and labels.

images         pixels, which start from_noise  from_real  from_glorot
IDC            multi_formation  multi_scale_formation  bounded_formation, which start from_mixed
RTP            addressable_memory, from which one may recall, and grown_memory; recalls_within says how many images a budget allows
HaBa           hallucinated, whose bases_within a budget are as many as hallucinators leave place for; restyle is one of them
wrappers       in_pixel_space, where from_clamped_noise and from_grey_noise belong; soft_labels
"""

from dcjax.parameterizations._formation import bounded_formation as bounded_formation
from dcjax.parameterizations._formation import from_mixed as from_mixed
from dcjax.parameterizations._formation import multi_formation as multi_formation
from dcjax.parameterizations._formation import multi_scale_formation as multi_scale_formation
from dcjax.parameterizations._hallucinated import bases_within as bases_within
from dcjax.parameterizations._hallucinated import hallucinated as hallucinated
from dcjax.parameterizations._hallucinated import hallucinator_size as hallucinator_size
from dcjax.parameterizations._hallucinated import restyle as restyle
from dcjax.parameterizations._labels import LOGITS as LOGITS
from dcjax.parameterizations._labels import soft_labels as soft_labels
from dcjax.parameterizations._memory import addressable_memory as addressable_memory
from dcjax.parameterizations._memory import grown_memory as grown_memory
from dcjax.parameterizations._memory import recall as recall
from dcjax.parameterizations._memory import recalls_within as recalls_within
from dcjax.parameterizations._pixels import Start as Start
from dcjax.parameterizations._pixels import class_labels as class_labels
from dcjax.parameterizations._pixels import from_clamped_noise as from_clamped_noise
from dcjax.parameterizations._pixels import from_glorot as from_glorot
from dcjax.parameterizations._pixels import from_grey_noise as from_grey_noise
from dcjax.parameterizations._pixels import from_noise as from_noise
from dcjax.parameterizations._pixels import from_real as from_real
from dcjax.parameterizations._pixels import in_pixel_space as in_pixel_space
from dcjax.parameterizations._pixels import pixels as pixels
