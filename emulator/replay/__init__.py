"""What the service answered once, played again to the emulator: the differences, each named.

`recording` reads a file of exchanges, `stage` is an emulator in this process whose time
stands still, `given` makes what was there before a recording began, `compare` tells two
answers apart by form, `known` names the differences that are meant, `player` plays.
"""
