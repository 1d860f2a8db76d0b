"""`kubectl hypernova`: what kubectl alone cannot do with an Instance."""
