module tool

go 1.24

require example.com/unpinned v2.0.0
