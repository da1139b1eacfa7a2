"""Checks of a rendered release before it is sent: functions of its objects, which need no cluster."""
