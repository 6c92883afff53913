"""The results of a suite in the forms of other tools: functions of what is stored; nothing is trained."""
