module m

go 1.24

require example.com/own-only v1.0.0
