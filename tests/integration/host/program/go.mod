module mlops-platform/tests/hostprobe

go 1.26.0
