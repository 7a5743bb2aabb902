//! What `#[utoipa::path]` writes into the modules of handlers, so that it compiles beside `typed-path`.
//!
//! utoipa-gen 6.0 writes `String::from(<T as utoipa::ToSchema>::name().as_ref())`, where `name()` is a `Cow<str>`. `typed-path`, which
//! the TUF client brings, makes a `Cow<str>` a reference to more than `str`, so the compiler cannot tell what is meant (utoipa pull
//! request 1519). Handlers import this module in the place of the crate: here a name is a reference to `str` alone.

pub(super) use ::utoipa::*;

use std::{
    borrow::{Borrow, Cow},
    fmt,
};

/// [`::utoipa::ToSchema`] with names that are a reference to one thing.
pub(super) trait ToSchema {
    fn name() -> Name;
    fn schemas(schemas: &mut Vec<(String, openapi::RefOr<openapi::Schema>)>);
}

impl<T: ::utoipa::ToSchema> ToSchema for T {
    fn name() -> Name {
        Name(<T as ::utoipa::ToSchema>::name())
    }

    fn schemas(schemas: &mut Vec<(String, openapi::RefOr<openapi::Schema>)>) {
        <T as ::utoipa::ToSchema>::schemas(schemas);
    }
}

/// The name of a schema.
#[derive(Clone)]
pub(super) struct Name(Cow<'static, str>);

impl Name {
    #[allow(clippy::should_implement_trait, reason = "a trait would bring the ambiguity back")]
    pub(super) fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
