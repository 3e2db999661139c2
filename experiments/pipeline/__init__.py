"""Holds the stages of a run, one file each, in this order.

    job        settings, data and method together, checked before anything is computed
    pretrain   networks trained on the whole training set, where a part asks for some
    condense   all outer iterations, with checkpoints             | select   a coreset of real images
    save       the condensed set, its pictures and the result file
    score      students trained on the set and on what it is compared with

`execute` goes through them. They share the run directory (`rundir`), the store of accuracies (`scores`), stopping (`stop`, `endings`), what
is printed (`show`, `figures`), the machine (`machine`) and other processes (`processes`). `rivals` and `recipes` are for
`experiments.evaluate`, `combinations`, `grid` and `passes` for `experiments.compare`; `older` restores checkpoints of earlier versions. For `experiments.continual`, `streams` says
what comes in which step, `step` names one, `step_memories` makes a run of every step, `lessons` trains and tests networks and `outcomes` writes it down.
"""
