"""dcjax condenses datasets in JAX.

A method is *what is learned* (a parameterization) x *what is compared* (an objective) x *where in weight space* (a trajectory),
under one optax optimizer. Each is a pair of pure functions; any row of any column works with any other, except that
`trajectory_matching` needs the target that `expert` brings, and `distribution_matching` learns no labels:

    method           what is learned       what is compared                              where
    DD               pixels                unrolled (learned rate)                       fresh
    DC               pixels                gradient_matching                             on_synthetic
    DSA              pixels                gradient_matching(augment=dsa())              on_synthetic
    DM               pixels                distribution_matching(augment=dsa())          fresh
    MTT              pixels                trajectory_matching (learned rate)            expert
    IDC              multi_formation       gradient_matching(distance=squared_error)     on_real
    RTP              addressable_memory    unrolled(momentum)                            fresh
    HaBa             hallucinated          trajectory_matching + diversity               expert + adversary
    none of these    addressable_memory    gradient_matching                             on_real

    images = dcjax.pixels(ipc=10)
    condenser = dcjax.condenser(
        images,
        dcjax.gradient_matching(net),
        dcjax.on_synthetic(net, optax.sgd(0.01), epochs=50, restart_every=10),
        optax.sgd(0.1, momentum=0.5),
    )
    source = dcjax.source(data.train, real_per_class=256)
    state = condenser.init(key, source.draw(draw_key))
    run = dcjax.iteration(condenser, steps=10)
    state, metrics = run(step_key, state, source, t)                         # one compiled program
    condensed = images.decode(state.syn)
"""

from dcjax import adversary as adversary
from dcjax import artifact as artifact
from dcjax import augment as augment
from dcjax import backend as backend
from dcjax import continual as continual
from dcjax import coresets as coresets
from dcjax import data as data
from dcjax import distances as distances
from dcjax import experts as experts
from dcjax import foreign as foreign
from dcjax import minibatches as minibatches
from dcjax import networks as networks
from dcjax import normalisation as normalisation
from dcjax import optimizers as optimizers
from dcjax import packing as packing
from dcjax import parameterizations as parameterizations
from dcjax import ranking as ranking
from dcjax import rates as rates
from dcjax import scans as scans
from dcjax import settling as settling
from dcjax import sharding as sharding
from dcjax import unroll as unroll
from dcjax.adversary import with_adversary as with_adversary
from dcjax.adversary import with_diversity as with_diversity
from dcjax.artifact import Condensed as Condensed
from dcjax.artifact import load_condensed as load_condensed
from dcjax.artifact import save_condensed as save_condensed
from dcjax.base import Batch as Batch
from dcjax.base import Condenser as Condenser
from dcjax.base import CondenserState as CondenserState
from dcjax.base import Draw as Draw
from dcjax.base import InputError as InputError
from dcjax.base import Key as Key
from dcjax.base import Learned as Learned
from dcjax.base import Network as Network
from dcjax.base import Objective as Objective
from dcjax.base import Parameterization as Parameterization
from dcjax.base import Point as Point
from dcjax.base import Syn as Syn
from dcjax.base import Trajectory as Trajectory
from dcjax.condense import condenser as condenser
from dcjax.condense import iteration as iteration
from dcjax.evaluate import evaluate as evaluate
from dcjax.evaluate import evaluate_draws as evaluate_draws
from dcjax.evaluate import evaluate_each as evaluate_each
from dcjax.evaluate import train_student as train_student
from dcjax.networks import network as network
from dcjax.objectives import distribution_matching as distribution_matching
from dcjax.objectives import gradient_matching as gradient_matching
from dcjax.objectives import on_classes as on_classes
from dcjax.objectives import on_minibatch as on_minibatch
from dcjax.objectives import trajectory_matching as trajectory_matching
from dcjax.objectives import unrolled as unrolled
from dcjax.parameterizations import addressable_memory as addressable_memory
from dcjax.parameterizations import bases_within as bases_within
from dcjax.parameterizations import bounded_formation as bounded_formation
from dcjax.parameterizations import from_clamped_noise as from_clamped_noise
from dcjax.parameterizations import from_glorot as from_glorot
from dcjax.parameterizations import from_grey_noise as from_grey_noise
from dcjax.parameterizations import from_mixed as from_mixed
from dcjax.parameterizations import from_noise as from_noise
from dcjax.parameterizations import from_real as from_real
from dcjax.parameterizations import grown_memory as grown_memory
from dcjax.parameterizations import hallucinated as hallucinated
from dcjax.parameterizations import in_pixel_space as in_pixel_space
from dcjax.parameterizations import multi_formation as multi_formation
from dcjax.parameterizations import multi_scale_formation as multi_scale_formation
from dcjax.parameterizations import pixels as pixels
from dcjax.parameterizations import recall as recall
from dcjax.parameterizations import recalls_within as recalls_within
from dcjax.parameterizations import restyle as restyle
from dcjax.parameterizations import soft_labels as soft_labels
from dcjax.recipe import Recipe as Recipe
from dcjax.recipes import constant_recipe as constant_recipe
from dcjax.recipes import dc_recipe as dc_recipe
from dcjax.recipes import dsa_recipe as dsa_recipe
from dcjax.recipes import idc_recipe as idc_recipe
from dcjax.recipes import replay_recipe as replay_recipe
from dcjax.shipped import Shipped as Shipped
from dcjax.shipped import shipped as shipped
from dcjax.sources import Source as Source
from dcjax.sources import source as source
from dcjax.sources import with_pool as with_pool
from dcjax.sources import with_segments as with_segments
from dcjax.tasks import with_tasks as with_tasks
from dcjax.trajectories import drawn as drawn
from dcjax.trajectories import expert as expert
from dcjax.trajectories import fresh as fresh
from dcjax.trajectories import known as known
from dcjax.trajectories import on_real as on_real
from dcjax.trajectories import on_synthetic as on_synthetic
from dcjax.trajectories import untrained as untrained
