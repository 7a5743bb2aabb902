//! CDSM: configuration, API, devices, alarms.
