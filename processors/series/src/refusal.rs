//! What is not translated, and why.

/// Why points cannot become samples; the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A metric without a name, or one of which only underscores are left.
    EmptyName,
    /// An attribute without a name, or one of which only underscores are left.
    InvalidLabelName,
    /// A metric without data, or with data of a kind that does not exist yet.
    UnknownData,
    /// A sum or histogram that does not say what it counts from.
    UnspecifiedTemporality,
    /// A sum or histogram that counts from the point before, where deltas are not added up.
    DeltaTemporality,
    /// A point without a time.
    MissingTimestamp,
    /// A point without a value, which does not say that it has none.
    MissingValue,
    /// A histogram that has not one bucket more than bounds.
    BucketCountMismatch,
    /// A histogram's bounds that are not numbers or do not rise.
    UnsortedBounds,
    /// An exponential histogram that is coarser than a native one can be.
    ScaleTooLow,
    /// A native histogram's buckets do not add up to its count.
    BucketSumMismatch,
    /// A native histogram's buckets are where no number is.
    BucketIndexOutOfRange,
    /// An exemplar without a value.
    ExemplarWithoutValue,
    /// A delta that ends before what its series has, or with it.
    DeltaOutOfOrder,
    /// A delta that begins before what its series has ends.
    DeltaOverlap,
    /// A delta of a new series, when there are as many as may be.
    DeltaTooManySeries,
    /// A delta with more bounds than a total keeps.
    DeltaTooManyBuckets,
    /// The labels of a series, or the texts of a metric, are longer than its user keeps.
    TextTooLong,
    /// What says whose the series are cannot stand in a header.
    InvalidTenant,
    /// As many tenants as there may be at once are there already.
    TenantLimit,
    /// A tenant has as many series as it may have.
    TenantSeriesLimit,
    /// A tenant's metric has as many series as it may have.
    MetricSeriesLimit,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 22] = [
        Self::EmptyName,
        Self::InvalidLabelName,
        Self::UnknownData,
        Self::UnspecifiedTemporality,
        Self::DeltaTemporality,
        Self::MissingTimestamp,
        Self::MissingValue,
        Self::BucketCountMismatch,
        Self::UnsortedBounds,
        Self::ScaleTooLow,
        Self::BucketSumMismatch,
        Self::BucketIndexOutOfRange,
        Self::ExemplarWithoutValue,
        Self::DeltaOutOfOrder,
        Self::DeltaOverlap,
        Self::DeltaTooManySeries,
        Self::DeltaTooManyBuckets,
        Self::TextTooLong,
        Self::InvalidTenant,
        Self::TenantLimit,
        Self::TenantSeriesLimit,
        Self::MetricSeriesLimit,
    ];

    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyName => "empty_name",
            Self::InvalidLabelName => "invalid_label_name",
            Self::UnknownData => "unknown_data",
            Self::UnspecifiedTemporality => "unspecified_temporality",
            Self::DeltaTemporality => "delta_temporality",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MissingValue => "missing_value",
            Self::BucketCountMismatch => "bucket_count_mismatch",
            Self::UnsortedBounds => "unsorted_bounds",
            Self::ScaleTooLow => "scale_too_low",
            Self::BucketSumMismatch => "bucket_sum_mismatch",
            Self::BucketIndexOutOfRange => "bucket_index_out_of_range",
            Self::ExemplarWithoutValue => "exemplar_without_value",
            Self::DeltaOutOfOrder => "delta_out_of_order",
            Self::DeltaOverlap => "delta_overlap",
            Self::DeltaTooManySeries => "delta_too_many_series",
            Self::DeltaTooManyBuckets => "delta_too_many_buckets",
            Self::TextTooLong => "text_too_long",
            Self::InvalidTenant => "invalid_tenant",
            Self::TenantLimit => "tenant_limit",
            Self::TenantSeriesLimit => "tenant_series_limit",
            Self::MetricSeriesLimit => "metric_series_limit",
        }
    }

    /// Whether what it is about is counted and let go, and its record not taken for a bad one.
    pub fn is_let_go(self) -> bool {
        matches!(
            self,
            Self::ExemplarWithoutValue
                | Self::DeltaOutOfOrder
                | Self::DeltaOverlap
                | Self::DeltaTooManySeries
                | Self::TenantLimit
                | Self::TenantSeriesLimit
                | Self::MetricSeriesLimit
        )
    }
}

/// What of one payload was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many points.
    pub points: u32,
    /// Why the first of them, and the OTLP name of its metric.
    pub first: Option<(Reason, String)>,
    /// What was let go ([`Reason::is_let_go`]), and how much of it; not among the points.
    pub let_go: Vec<(Reason, u32)>,
}

impl Refused {
    /// Whether everything was translated.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.let_go.is_empty()
    }

    #[cold]
    pub(crate) fn add(&mut self, reason: Reason, metric: &str, points: u32) {
        if reason.is_let_go() {
            return match self.let_go.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count = count.saturating_add(points),
                None => self.let_go.push((reason, points)),
            };
        }
        self.points = self.points.saturating_add(points);
        self.first.get_or_insert_with(|| (reason, metric.to_owned()));
    }
}
