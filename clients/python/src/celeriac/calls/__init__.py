"""How a call of `celeriac.connect()` is made: one way for all methods, driven by the contracts' descriptors.

request    Python values into a request's fields
views      messages as Python values
methods    what the contract says of a method: its deadline, its shape, what it changes
failures   grpc's errors as those of celeriac.exceptions
listing    lists that fetch their pages by themselves
watches    streams that resume by themselves
blocking   calls of `celeriac.connect()`
awaiting   the same for `celeriac.aio.connect()`

The classes with a method for each RPC are generated from the contracts (protos/clients.py).
"""
