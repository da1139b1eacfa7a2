module tool

go 1.24

require (
	example.com/wrong v1.2.0 // indirect
)
