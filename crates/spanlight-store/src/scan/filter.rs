//! Conditions that a reader will check anyway, told to the store so that it can leave out what certainly fails.
//!
//! A filter is a hint with one duty: no span that passes it may be left out. Spans that fail it may still come.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array as _, StringArray};
use arrow_buffer::BooleanBuffer;

/// A tree of tests. `And` of nothing is true, `Or` of nothing is false.
#[derive(Debug, Clone)]
pub enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// Any of them.
    Or(Vec<Filter>),
    /// One test.
    Test(Test),
}

/// One field and what is asked of it. A span without the field fails every test.
#[derive(Debug, Clone)]
pub struct Test {
    /// What is looked at.
    pub field: Field,
    /// What is asked of it.
    pub predicate: Predicate,
}

/// What a test looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The span's name.
    Name,
    /// Its kind, as [`spanlight_model::SpanKind::as_str`] says it.
    Kind,
    /// Its status, as [`spanlight_model::StatusCode::as_str`] says it.
    Status,
    /// Its status message; empty where there is none.
    StatusMessage,
    /// End minus start in nanoseconds; zero when the end is before the start.
    Duration,
    /// The resource's `service.name`.
    ServiceName,
    /// An attribute of the span; of a key that repeats, any.
    SpanAttribute(Arc<str>),
    /// An attribute of the resource.
    ResourceAttribute(Arc<str>),
    /// An attribute of the span, or of the resource.
    Attribute(Arc<str>),
}

/// What is asked of a field.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// The value compares with this one. Integers and floats compare by their number; other types never meet. An
    /// array has one element that does.
    Compare(Comparison, Literal),
    /// The value equals one of these.
    OneOf(Arc<[Literal]>),
    /// There is a value.
    Exists,
    /// The value is a text that passes, or an array with such a text.
    Matches(TextTest),
}

/// How a value stands to a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`; the types meet.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text, compared by its bytes.
    String(Arc<str>),
    /// An integer.
    Int(i64),
    /// A float. NaN equals nothing.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

/// A test of texts, such as a regular expression.
#[derive(Clone)]
pub struct TextTest {
    description: Arc<str>,
    test: Arc<dyn TestTexts>,
}

/// What a test of texts does. It must say the same of the same text each time.
pub trait TestTexts: Send + Sync {
    /// Whether a text passes.
    fn is_match(&self, text: &str) -> bool;

    /// The same of each of many texts; of what is null, anything.
    fn are_matches(&self, texts: &StringArray) -> BooleanBuffer {
        BooleanBuffer::collect_bool(texts.len(), |at| self.is_match(texts.value(at)))
    }
}

impl<T: Fn(&str) -> bool + Send + Sync> TestTexts for T {
    fn is_match(&self, text: &str) -> bool {
        self(text)
    }
}

impl Filter {
    /// `field OP value`.
    #[must_use]
    pub fn compare(field: Field, comparison: Comparison, value: Literal) -> Self {
        let predicate = Predicate::Compare(comparison, value);
        Self::Test(Test { field, predicate })
    }

    /// `field = value`.
    #[must_use]
    pub fn equal(field: Field, value: Literal) -> Self {
        Self::compare(field, Comparison::Equal, value)
    }

    /// The field has a value.
    #[must_use]
    pub fn exists(field: Field) -> Self {
        let predicate = Predicate::Exists;
        Self::Test(Test { field, predicate })
    }

    /// The field is a text that passes.
    #[must_use]
    pub fn matches(field: Field, test: TextTest) -> Self {
        let predicate = Predicate::Matches(test);
        Self::Test(Test { field, predicate })
    }

    /// The fields of all tests.
    pub fn fields(&self) -> Box<dyn Iterator<Item = &Field> + '_> {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                Box::new(filters.iter().flat_map(Self::fields))
            }
            Self::Test(test) => Box::new(std::iter::once(&test.field)),
        }
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self::String(Arc::from(text))
    }
}

impl TextTest {
    /// A test, and what plans call it.
    #[must_use]
    pub fn new(
        description: impl Into<Arc<str>>,
        test: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::of(description, test)
    }

    /// A test that has a quicker way for many texts, and what plans call it.
    #[must_use]
    pub fn of(description: impl Into<Arc<str>>, test: impl TestTexts + 'static) -> Self {
        Self {
            description: description.into(),
            test: Arc::new(test),
        }
    }

    /// Whether a text passes.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.test.is_match(text)
    }

    /// Whether each of these texts passes. What is said of nulls has no meaning.
    #[must_use]
    pub fn are_matches(&self, texts: &StringArray) -> BooleanBuffer {
        self.test.are_matches(texts)
    }
}

impl fmt::Debug for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextTest({})", self.description)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, filters: &[Self], between: &str| {
            for (at, filter) in filters.iter().enumerate() {
                if at > 0 {
                    f.write_str(between)?;
                }
                match filter {
                    Self::Test(_) => write!(f, "{filter}")?,
                    _ => write!(f, "({filter})")?,
                }
            }
            Ok(())
        };
        match self {
            Self::And(filters) if filters.is_empty() => f.write_str("true"),
            Self::Or(filters) if filters.is_empty() => f.write_str("false"),
            Self::And(filters) => join(f, filters, " && "),
            Self::Or(filters) => join(f, filters, " || "),
            Self::Test(test) => write!(f, "{test}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = &self.field;
        match &self.predicate {
            Predicate::Compare(comparison, value) => write!(f, "{field} {comparison} {value}"),
            Predicate::OneOf(values) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "{field} one of {}", values.join(", "))
            }
            Predicate::Exists => write!(f, "{field} exists"),
            Predicate::Matches(test) => write!(f, "{field} {}", test.description),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Kind => f.write_str("kind"),
            Self::Status => f.write_str("status"),
            Self::StatusMessage => f.write_str("statusMessage"),
            Self::Duration => f.write_str("duration"),
            Self::ServiceName => f.write_str("resource.service.name"),
            Self::SpanAttribute(key) => write!(f, "span.{key}"),
            Self::ResourceAttribute(key) => write!(f, "resource.{key}"),
            Self::Attribute(key) => write!(f, ".{key}"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "{text:?}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
        }
    }
}
