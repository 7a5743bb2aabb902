//! REST API of the manager: types, paths, problem reasons, OpenAPI document.
