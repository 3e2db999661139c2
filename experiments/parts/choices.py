"""Maps the names that flags take to functions of the library."""

import dcjax as dc
from dcjax.distances import of_convolutions

DISTANCES = {
    "filterwise_cosine": dc.distances.filterwise_cosine,
    "squared_error": dc.distances.squared_error,
    "cosine": dc.distances.cosine,
    "convolution_squared_error": of_convolutions(dc.distances.squared_error),
    "convolution_absolute_error": of_convolutions(dc.distances.absolute_error),
}
AUGMENTS = {
    "none": dc.augment.identity,
    "dc_digits": dc.augment.dc_digits(),
    "dc_crop_noise": dc.augment.dc_crop_noise(),
    "dsa": dc.augment.dsa(),
    "dsa_digits": dc.augment.dsa_digits(),
    "idc": dc.augment.idc(),
    "idc_digits": dc.augment.idc_digits(),
    "idc_digits_cutout": dc.augment.idc_digits_cutout(),
    "color_crop": dc.augment.color_crop(),
    "color_crop_cutout": dc.augment.color_crop_cutout(),
}
MIXES = {"none": dc.augment.no_mixing, "cutmix": dc.augment.cutmix()}
