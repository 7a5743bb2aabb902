//! `weir user ...` and `weir token ...`: who may do what.

use clap::Subcommand;

/// What a token or user may do.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleArg {
    /// Reads everything but secrets
    Viewer,
    /// Changes what is delivered, from where, and by which devices
    Operator,
    /// Everything, also users, tokens, backups and the pair
    Admin,
}

impl RoleArg {
    /// The word of the API.
    pub(crate) fn word(self) -> String {
        let role = match self {
            RoleArg::Viewer => weir_operator_api::AccessRole::Viewer,
            RoleArg::Operator => weir_operator_api::AccessRole::Operator,
            RoleArg::Admin => weir_operator_api::AccessRole::Admin,
        };
        role.to_string()
    }
}

#[derive(Subcommand)]
pub(crate) enum UserVerb {
    /// All of them
    List,
    /// Add one; their one-time password is shown once
    Create {
        user: String,
        #[arg(long, value_enum)]
        role: RoleArg,
    },
    /// Give one another role; sessions end when it is a lower one
    Role {
        user: String,
        #[arg(value_enum)]
        role: RoleArg,
    },
    /// Remove one; their sessions end
    Delete { user: String },
    /// Give a user a one-time password; needs --local, on the manager's box
    Reset { user: String },
}

#[derive(Subcommand)]
pub(crate) enum TokenVerb {
    /// Tokens that let a device in
    Enrolment {
        #[command(subcommand)]
        verb: EnrolmentTokenVerb,
    },
    /// Tokens that let a program use the API
    Api {
        #[command(subcommand)]
        verb: ApiTokenVerb,
    },
}

#[derive(Subcommand)]
pub(crate) enum EnrolmentTokenVerb {
    /// Those that still work
    List,
    /// Make one; it is shown once
    Create {
        /// manager, router or engine
        #[arg(long)]
        role: String,
        /// How many devices may use it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it works, in seconds
        #[arg(long, default_value_t = 3600)]
        expires_in: u64,
        /// Activate the device into this location at once
        #[arg(long)]
        activate_into: Option<String>,
    },
    /// Make one worthless
    Delete { id: String },
}

#[derive(Subcommand)]
pub(crate) enum ApiTokenVerb {
    /// All of them
    List,
    /// Make one; it is shown once
    Create {
        name: String,
        /// How long it works, in seconds; absent: until deleted
        #[arg(long)]
        expires_in: Option<u64>,
        /// What it may do; absent: admin
        #[arg(long, value_enum)]
        role: Option<RoleArg>,
        /// Confine it to this delivery service; may be repeated. Needs --role operator or viewer
        #[arg(long = "service", value_name = "NAME", requires = "role")]
        services: Vec<String>,
    },
    /// Make one worthless
    Delete { id: String },
}
