"""The scheduler of the Batch service: a pure state machine of (world, event, now).

Nothing here knows of HTTP, processes, threads, files or clocks. A driver tells the
engine what happened and when, asks it for the next instant at which something is due,
and executes the effects that it leaves behind. Given the same events at the same
instants, the same seed and the same settings, the engine does the same.

    world       what there is: accounts' pools, nodes, jobs, tasks and their indexes
    settings    how long the service takes, how much it allows
    core        what every transition needs: the world, now, timers, effects
    pools, nodes, jobs, tasks   transitions, one file a thing
    scheduling  which task goes to which node
    scaling     autoscale samples, evaluations
    engine      the façade that the driver holds
"""
