module m

go 1.24

require example.com/variables v1.0.0
