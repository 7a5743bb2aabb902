//! Service Router: picks the engine for each request.
