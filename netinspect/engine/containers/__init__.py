"""Containers and pods: what control groups say of processes, and the names that engines and Kubernetes give them."""
