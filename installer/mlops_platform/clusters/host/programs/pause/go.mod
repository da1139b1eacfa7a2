module mlops-platform/programs/pause

go 1.26.0
