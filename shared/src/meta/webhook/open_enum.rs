//! The macro behind every enum whose values Meta may extend at any time. A value of tomorrow must not break the
//! parser of today, so each such enum ends in `Other`, which keeps the text.

/// Defines an enum read from and written as text, with `Other` for the values not listed. The first literal of a
/// variant is its canonical text, further ones are older spellings.
macro_rules! open_enum {
    (
        $(#[$enum_attr:meta])*
        pub enum $name:ident {
            $($(#[$attr:meta])* $variant:ident = $text:literal $(| $older:literal)*,)+
        }
    ) => {
        $(#[$enum_attr])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$attr])* $variant,)+
            /// A value this version does not know, as Meta wrote it.
            Other(String),
        }

        impl $name {
            /// The text Meta uses for it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($text $(| $older)* => Self::$variant,)+
                    _ => Self::Other(text),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                match value {
                    $name::Other(text) => text,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
