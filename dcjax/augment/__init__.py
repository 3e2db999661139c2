"""Augmentations are `key -> (image -> image)`: one draw, and then a deterministic function of an image [H, W, C].

So siamese augmentation is one draw applied to two batches, and independent augmentation is a `vmap` over keys. A mixing is
the same idea for what needs more than one image: `key -> (batch -> batch)`.

    combinators    identity  independent  one_of  chain
    DSA            dsa  dsa_digits, made of color (brightness saturation contrast)  crop  cutout  flip  scale  rotate
    DC             dc_digits  dc_crop_noise, made of dc_crop  dc_scale  dc_rotate  dc_noise
    IDC            idc  idc_digits  idc_digits_cutout  color_crop  color_crop_cutout, made of DSA's
    mixing         no_mixing  mixup  cutmix
    mini-batches   each  one_for_all  dsa_batch  dc_digits_batch  dc_crop_noise_batch  idc_batch  idc_digits_batch
                   idc_digits_cutout_batch: mixings that draw once for all images what the published programs do
"""

from dcjax.augment._batchwise import dc_crop_noise_batch as dc_crop_noise_batch
from dcjax.augment._batchwise import dc_digits_batch as dc_digits_batch
from dcjax.augment._batchwise import dsa_batch as dsa_batch
from dcjax.augment._batchwise import each as each
from dcjax.augment._batchwise import idc_batch as idc_batch
from dcjax.augment._batchwise import idc_digits_batch as idc_digits_batch
from dcjax.augment._batchwise import idc_digits_cutout_batch as idc_digits_cutout_batch
from dcjax.augment._batchwise import one_for_all as one_for_all
from dcjax.augment._combinators import chain as chain
from dcjax.augment._combinators import identity as identity
from dcjax.augment._combinators import independent as independent
from dcjax.augment._combinators import one_of as one_of
from dcjax.augment._dc import dc_crop as dc_crop
from dcjax.augment._dc import dc_crop_noise as dc_crop_noise
from dcjax.augment._dc import dc_digits as dc_digits
from dcjax.augment._dc import dc_noise as dc_noise
from dcjax.augment._dc import dc_rotate as dc_rotate
from dcjax.augment._dc import dc_scale as dc_scale
from dcjax.augment._dsa import DSA_OPERATORS as DSA_OPERATORS
from dcjax.augment._dsa import brightness as brightness
from dcjax.augment._dsa import color as color
from dcjax.augment._dsa import contrast as contrast
from dcjax.augment._dsa import crop as crop
from dcjax.augment._dsa import cutout as cutout
from dcjax.augment._dsa import dsa as dsa
from dcjax.augment._dsa import dsa_digits as dsa_digits
from dcjax.augment._dsa import flip as flip
from dcjax.augment._dsa import rotate as rotate
from dcjax.augment._dsa import saturation as saturation
from dcjax.augment._dsa import scale as scale
from dcjax.augment._idc import color_crop as color_crop
from dcjax.augment._idc import color_crop_cutout as color_crop_cutout
from dcjax.augment._idc import idc as idc
from dcjax.augment._idc import idc_digits as idc_digits
from dcjax.augment._idc import idc_digits_cutout as idc_digits_cutout
from dcjax.augment._mixing import cutmix as cutmix
from dcjax.augment._mixing import mixup as mixup
from dcjax.augment._mixing import no_mixing as no_mixing
