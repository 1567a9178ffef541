"""The embedder: texts into 1024-dimensional vectors, search by meaning, and what people ask.

Its rooms, top first; each may import only those below it (contracts in pyproject.toml):

commands   `serve` and `work`: load the model, and start the process around it
serving    builds the gRPC process
api        the gRPC servicers; messages of the contract become values of the domain, and back
online     texts of many callers in shared batches
search     the FAISS index, kept as the table is
bulk       stored messages into vectors by Celery: plan, chunks, tasks, worker, operations
insights   questions grouped by meaning, and how often each is asked
model      a model: its folder, its ONNX graph, token packing, and the embedded default model
messages   chat messages and their table
"""
