"""The node's firewall: an agent that renders NetworkPolicies as one nft table, and a CNI plugin that delays
the start of a pod until that table has its address."""
