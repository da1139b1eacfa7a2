module m

go 1.24

require example.com/labels v1.0.0
