//! Pages of lists.

use weir_operator_api::{
    Listing, PageQuery, Problem, Reason,
    listing::{PAGE_ITEMS, PAGE_ITEMS_MAX},
};

/// Items of the page a request wants.
pub(super) fn limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit {
        None => Ok(PAGE_ITEMS),
        Some(limit) if (1..=PAGE_ITEMS_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::new(Reason::InvalidQuery, format!("{limit} is not between 1 and {PAGE_ITEMS_MAX}")).at("limit")),
    }
}

/// The id a request wants the items after.
pub(super) fn after_id(after: Option<&str>) -> Result<i64, Problem> {
    let number = |text: &str| text.parse().map_err(|_| Problem::new(Reason::InvalidQuery, "not the `next` of a page").at("after"));
    after.map_or(Ok(0), number)
}

/// One page of items that are in order of their names.
pub(super) fn by_name<I, T>(
    query: &PageQuery,
    items: I,
    name: impl Fn(&I::Item) -> &str,
    shown: impl Fn(I::Item) -> T,
) -> Result<Listing<T>, Problem>
where
    I: Iterator,
{
    let limit = limit(query.limit)? as usize;
    let after = query.after.as_deref();
    let mut page: Vec<I::Item> = items.filter(|i| after.is_none_or(|a| name(i) > a)).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| name(last).to_owned());
    Ok(Listing { items: page.into_iter().map(shown).collect(), next })
}

/// One page of items read with one more than `limit`, in order of their ids.
pub(super) fn by_id<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> i64) -> Listing<T> {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| id(last).to_string());
    Listing { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let names = ["a", "b", "c", "d", "e"];
        let page = |after: Option<&str>| {
            let query = PageQuery { after: after.map(str::to_owned), limit: Some(2) };
            let listing = by_name(&query, names.iter(), |n| n, |n| *n).expect("page");
            (listing.items.concat(), listing.next)
        };
        assert_eq!(page(None), ("ab".into(), Some("b".into())));
        assert_eq!(page(Some("b")), ("cd".into(), Some("d".into())));
        assert_eq!(page(Some("d")), ("e".into(), None));
        assert_eq!(by_id(vec![1, 2], 2, |n| *n), Listing { items: vec![1, 2], next: None });
        assert_eq!(by_id(vec![1, 2, 3], 2, |n| *n), Listing { items: vec![1, 2], next: Some("2".into()) });
        assert!(limit(Some(0)).is_err() && limit(Some(10_001)).is_err());
    }
}
