"""The service: answers over HTTP, models that change without a dropped request, and nothing of torch.

`service` is what routes call; `engine` forms batches and runs them in threads; `swap` follows the registry; `supervisor`
and `worker` are the processes.
"""
