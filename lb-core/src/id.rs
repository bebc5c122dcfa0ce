//! Numbers that name things, one type each, so that they cannot be mixed up.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u32);

        impl $name {
            /// The thing at `index` of its list. Lists longer than `u32::MAX` do not occur.
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }

            /// Place in its list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index! {
    /// A server of a backend, from 0 in file order.
    ServerIndex
}
index! {
    /// A backend of a configuration, from 0 in file order.
    BackendIndex
}
index! {
    /// A frontend of a configuration, from 0 in file order.
    FrontendIndex
}
