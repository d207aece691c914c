"""The wire of the Batch data plane: requests in, answers out, no state of its own.

routes      the one table of all operations
app         the ASGI application: authentication, routing, headers, errors
auth        SharedKey
schema, bodies   request bodies: fields, types, defaults, normalisation
odata       $filter, $select, paging
render      entities as the service writes them, member by member
errors      the one catalogue of codes, statuses and sentences
pools, nodes, jobs, tasks, files   handlers: parse, call, render
"""
