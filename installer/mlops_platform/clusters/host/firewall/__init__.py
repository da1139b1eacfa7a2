"""Owns the node's firewall: an agent that turns NetworkPolicies into one nft table, and the CNI plugin that
keeps a new pod waiting until the table knows it."""
