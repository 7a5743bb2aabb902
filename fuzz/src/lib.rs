//! Fuzz targets for every parser, as plain functions.
