# The policy of the installer. The installer may write policies and bind service accounts to them, so it can give
# itself more rights: a user who may use its service account is effectively an administrator of Vault.

# Policies of components, and the roles that bind service accounts to them.
path "sys/policies/acl/platform-*"         { capabilities = ["create", "read", "update", "delete"] }
path "sys/policies/acl"                    { capabilities = ["list"] }
path "auth/kubernetes/role/+"              { capabilities = ["create", "read", "update", "delete"] }
path "auth/kubernetes/role"                { capabilities = ["list"] }
path "auth/kubernetes/role/mlops-platform" { capabilities = ["read"] }

# Secrets of the platform.
path "sys/mounts"                 { capabilities = ["read"] }
path "sys/mounts/secret"          { capabilities = ["create", "update"] }
path "sys/mounts/database"        { capabilities = ["create", "update"] }
path "secret/config"              { capabilities = ["read", "create", "update"] }
path "secret/data/platform/*"     { capabilities = ["create", "read", "update"] }
path "secret/metadata/platform/*" { capabilities = ["read", "list", "delete"] }
path "secret/metadata/platform/"  { capabilities = ["list"] }

# Database passwords that Vault rotates.
path "database/config/+"       { capabilities = ["create", "read", "update", "delete"] }
path "database/rotate-root/+"  { capabilities = ["create", "update"] }
path "database/static-roles/+" { capabilities = ["create", "read", "update", "delete"] }
path "database/static-roles"   { capabilities = ["list"] }
path "database/static-creds/+" { capabilities = ["read"] }
path "database/rotate-role/+"  { capabilities = ["create", "update"] }

# Users and the OIDC issuer.
path "sys/auth"                       { capabilities = ["read"] }
path "sys/auth/userpass"              { capabilities = ["create", "update", "sudo"] }
path "sys/mounts/auth/userpass/tune"  { capabilities = ["read", "create", "update"] }
path "auth/userpass/users"            { capabilities = ["list"] }
path "auth/userpass/users/+"          { capabilities = ["create", "read", "update", "delete"] }
path "auth/userpass/users/+/password" { capabilities = ["create", "update"] }
path "auth/token/roles/machine"       { capabilities = ["create", "read", "update"] }
path "auth/token/create/machine"      { capabilities = ["create", "update"] }
path "identity/*"                     { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/locked-users"               { capabilities = ["read"] }
path "sys/locked-users/+/unlock/+"    { capabilities = ["update"] }

# Leases and backups.
path "sys/leases/lookup"         { capabilities = ["create", "update"] }
path "sys/leases/revoke"         { capabilities = ["create", "update"] }
path "sys/storage/raft/snapshot" { capabilities = ["read"] }
