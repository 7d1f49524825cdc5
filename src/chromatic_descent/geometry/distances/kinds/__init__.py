"""The distances themselves: every entry says all there is to know about one."""
