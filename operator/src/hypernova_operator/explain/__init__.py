"""`hypernova-operator explain`: would this fit, where, what is in its way? Asked of a live cluster; writes nothing."""
