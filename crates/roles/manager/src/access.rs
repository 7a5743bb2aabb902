//! What a caller may do: the role of its token or user, and the delivery services a token is confined to.

use std::collections::BTreeSet;
use weir_model::ServiceName;
use weir_operator_api::{AccessRole, Problem, Reason};

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) role: AccessRole,
    /// It reaches these delivery services and nothing else; absent: it is not confined.
    pub(crate) services: Option<BTreeSet<ServiceName>>,
}

impl Access {
    /// Everything this role may do.
    pub(crate) fn of(role: AccessRole) -> Self {
        Self { role, services: None }
    }

    /// Everything: whoever may open the manager's own socket, and the manager itself.
    pub(crate) fn admin() -> Self {
        Self::of(AccessRole::Admin)
    }

    /// Nothing of what operators do: devices, which have an API of their own, and whoever has not signed in.
    pub(crate) fn least() -> Self {
        Self::of(AccessRole::Viewer)
    }

    /// Refuses a caller of a lower role.
    pub(crate) fn role(&self, needed: AccessRole) -> Result<(), Problem> {
        if self.role >= needed {
            return Ok(());
        }
        Err(Problem::new(Reason::Forbidden, format!("this needs the role {needed}; this token or user is {}", self.role)))
    }

    /// Refuses a caller of a lower role, and one that is confined to delivery services.
    pub(crate) fn everywhere(&self, needed: AccessRole) -> Result<(), Problem> {
        if self.services.is_some() {
            return Err(Problem::new(Reason::Forbidden, "this token is confined to delivery services of its own"));
        }
        self.role(needed)
    }

    /// Whether a delivery service is within reach.
    pub(crate) fn reaches(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Refuses a caller of a lower role, and one that is confined to others than this delivery service.
    pub(crate) fn service(&self, needed: AccessRole, service: &str) -> Result<(), Problem> {
        self.role(needed)?;
        if self.reaches(service) {
            return Ok(());
        }
        Err(Problem::new(Reason::Forbidden, format!("this token is not for delivery service {service}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_is_below_it_and_a_confined_token_only_its_own() {
        use AccessRole::{Admin, Operator, Viewer};
        for (has, needed, allowed) in [
            (Viewer, Viewer, true),
            (Viewer, Operator, false),
            (Operator, Viewer, true),
            (Operator, Operator, true),
            (Operator, Admin, false),
            (Admin, Admin, true),
        ] {
            assert_eq!(Access::of(has).everywhere(needed).is_ok(), allowed, "{has} {needed}");
            assert_eq!(Access::of(has).service(needed, "any").is_ok(), allowed, "{has} {needed}");
        }
        let own = BTreeSet::from(["demo".parse().expect("name")]);
        let confined = Access { role: Operator, services: Some(own) };
        assert!(confined.service(Operator, "demo").is_ok());
        assert!(confined.service(Operator, "other").is_err());
        assert!(confined.service(Admin, "demo").is_err());
        assert!(confined.everywhere(Viewer).is_err(), "nothing else, not even to read");
    }
}
