//! The calls of librdkafka that rdkafka does not offer, or not as they are needed.
#![expect(
    unsafe_code,
    reason = "rdkafka panics on a header whose name is not UTF-8, does not tell a group's generation, its members, \
              what they have or a topic's ID, does not ask what a client may do, and replaces all of a topic's settings, without a \
              word when the brokers refuse them"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, NulError, c_char};
use std::ptr;
use std::slice;

use rdkafka::ClientContext;
use rdkafka::bindings;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::{RDKafkaResourceType, RDKafkaRespErr};
use weir_contract::TopicPartition;

/// A record's headers. A name that is not UTF-8 has replacement characters; a null value is empty.
pub(super) fn headers<'m>(message: &'m BorrowedMessage<'_>) -> Vec<(Cow<'m, str>, &'m [u8])> {
    let Some(count) = message.headers().map(Headers::count) else { return Vec::new() };
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive while it is borrowed; the list belongs to it and lives as long.
    let found = unsafe { bindings::rd_kafka_message_headers(message.ptr(), &raw mut list) };
    if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Vec::new();
    }
    let mut headers = Vec::with_capacity(count);
    for index in 0..count {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the list is alive, see above; the three places are written to on success alone.
        let found =
            unsafe { bindings::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            break;
        }
        // SAFETY: librdkafka ends names with a zero byte, and keeps them as long as the message.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        // SAFETY: where there is a value it is of that size, and kept as long as the message.
        let value = if value.is_null() { &[][..] } else { unsafe { slice::from_raw_parts(value.cast::<u8>(), size) } };
        headers.push((name, value));
    }
    headers
}

/// The generation (or epoch) with which a consumer is a member of its group; 0 or less before it
/// has joined, and after it has been put out.
pub(super) fn generation<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> i32 {
    // SAFETY: the client is alive while it is borrowed; what is returned is ours to destroy.
    let metadata = unsafe { bindings::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
    if metadata.is_null() {
        return -1;
    }
    // SAFETY: it is not null, and is used here alone, for the last time when it is destroyed.
    unsafe {
        let generation = bindings::rd_kafka_consumer_group_metadata_generation_id(metadata);
        bindings::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    }
}

/// The ID of a topic as Kafka's own tools print it; none, where the brokers do not tell, or do not know the
/// topic. Waits for the answer, at most so many milliseconds: none in time is the outer `None`.
pub(super) fn topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    wait_ms: i32,
) -> Result<Option<Option<(String, usize)>>, NulError> {
    let named = CString::new(topic)?;
    // SAFETY: the client is alive while it is borrowed. What is made here is destroyed here, once,
    // after its last use; librdkafka copies the name, and lets go of a queue that is destroyed before
    // the answer.
    unsafe {
        let mut names = [named.as_ptr()];
        let topics = bindings::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let queue = bindings::rd_kafka_queue_new(client.native_ptr());
        bindings::rd_kafka_DescribeTopics(client.native_ptr(), topics, ptr::null(), queue);
        let event = bindings::rd_kafka_queue_poll(queue, wait_ms);
        let answer = described(event);
        if !event.is_null() {
            bindings::rd_kafka_event_destroy(event);
        }
        bindings::rd_kafka_queue_destroy(queue);
        bindings::rd_kafka_TopicCollection_destroy(topics);
        Ok(answer)
    }
}

/// Reads the answer to a question about one topic: its ID and its number of partitions.
///
/// # Safety
/// The event is null or alive.
unsafe fn described(event: *mut bindings::rd_kafka_event_t) -> Option<Option<(String, usize)>> {
    if event.is_null() {
        return None;
    }
    // SAFETY: the event is alive, and its parts with it; librdkafka says how many topics there are.
    unsafe {
        if bindings::rd_kafka_event_error(event) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let result = bindings::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return None; // something else was on the queue
        }
        let mut count = 0;
        let topics = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count == 0 {
            return Some(None);
        }
        let id = bindings::rd_kafka_TopicDescription_topic_id(*topics);
        let unknown = id.is_null()
            || (bindings::rd_kafka_Uuid_most_significant_bits(id) | bindings::rd_kafka_Uuid_least_significant_bits(id))
                == 0;
        let mut partitions = 0;
        bindings::rd_kafka_TopicDescription_partitions(*topics, &raw mut partitions);
        Some(if unknown { None } else { Some((text(bindings::rd_kafka_Uuid_base64str(id)), partitions)) })
    }
}

/// What becomes of a change of settings.
pub(super) enum Altered {
    /// It is made.
    Done,
    /// The brokers have not answered in time.
    Late,
    /// They refuse it.
    Refused(String),
}

/// Changes some of a topic's settings; waits for the answer, at most so many milliseconds.
pub(super) fn alter<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    changes: &BTreeMap<String, String>,
    wait_ms: i32,
) -> Result<Altered, NulError> {
    let named = CString::new(topic)?;
    let changes: Vec<_> = changes
        .iter()
        .map(|(name, value)| Ok((CString::new(name.as_str())?, CString::new(value.as_str())?)))
        .collect::<Result<_, NulError>>()?;
    // SAFETY: the client is alive while it is borrowed. What is made here is destroyed here, once,
    // after its last use; librdkafka copies the strings and the resource, and lets go of a queue
    // that is destroyed before the answer. The answer's parts live as long as the event.
    unsafe {
        let mut resource =
            bindings::rd_kafka_ConfigResource_new(RDKafkaResourceType::RD_KAFKA_RESOURCE_TOPIC, named.as_ptr());
        if resource.is_null() {
            return Ok(Altered::Refused("no topic has that name".into()));
        }
        let set = bindings::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
        for (name, value) in &changes {
            let error =
                bindings::rd_kafka_ConfigResource_add_incremental_config(resource, name.as_ptr(), set, value.as_ptr());
            if !error.is_null() {
                let why = text(bindings::rd_kafka_error_string(error));
                bindings::rd_kafka_error_destroy(error);
                bindings::rd_kafka_ConfigResource_destroy(resource);
                return Ok(Altered::Refused(why));
            }
        }
        let queue = bindings::rd_kafka_queue_new(client.native_ptr());
        bindings::rd_kafka_IncrementalAlterConfigs(client.native_ptr(), &raw mut resource, 1, ptr::null(), queue);
        let event = bindings::rd_kafka_queue_poll(queue, wait_ms);
        let altered = answer(event);
        if !event.is_null() {
            bindings::rd_kafka_event_destroy(event);
        }
        bindings::rd_kafka_queue_destroy(queue);
        bindings::rd_kafka_ConfigResource_destroy(resource);
        Ok(altered)
    }
}

/// Reads the answer to a change of settings.
///
/// # Safety
/// The event is null or alive.
unsafe fn answer(event: *mut bindings::rd_kafka_event_t) -> Altered {
    if event.is_null() {
        return Altered::Late;
    }
    // SAFETY: the event is alive, and its parts with it; librdkafka says how many resources there are.
    unsafe {
        if bindings::rd_kafka_event_error(event) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Altered::Refused(text(bindings::rd_kafka_event_error_string(event)));
        }
        let result = bindings::rd_kafka_event_IncrementalAlterConfigs_result(event);
        if result.is_null() {
            return Altered::Late; // something else was on the queue
        }
        let mut count = 0;
        let resources = bindings::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count);
        for index in 0..count {
            let resource = *resources.add(index);
            if bindings::rd_kafka_ConfigResource_error(resource) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Altered::Refused(text(bindings::rd_kafka_ConfigResource_error_string(resource)));
            }
        }
    }
    Altered::Done
}

/// What the brokers say of a group.
pub(super) enum Told<T> {
    /// This.
    Known(T),
    /// There is no such group.
    NoGroup,
    /// They have not answered in time.
    Late,
    /// They refuse to tell.
    Refused(String),
}

/// Asks how many members a group has, of whichever protocol; waits for the answer, at most so many
/// milliseconds.
pub(super) fn members<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    wait_ms: i32,
) -> Result<Told<usize>, NulError> {
    // SAFETY: the description is alive while it is read.
    describe(client, group, wait_ms, |group| unsafe { bindings::rd_kafka_ConsumerGroupDescription_member_count(group) })
}

/// What a group's coordinator says of a member.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Assigned {
    /// What it has, what it is still to let go of included.
    pub has: BTreeSet<TopicPartition>,
    /// What it is to have.
    pub target: BTreeSet<TopicPartition>,
}

/// Asks what a member of a group has, by its ID; nothing where it is no member. Waits for the answer, at most so many
/// milliseconds.
pub(super) fn assigned<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    member: &str,
    wait_ms: i32,
) -> Result<Told<Assigned>, NulError> {
    // SAFETY: the description is alive while it is read, and its parts with it; librdkafka says how many there are.
    describe(client, group, wait_ms, |group| unsafe {
        let count = bindings::rd_kafka_ConsumerGroupDescription_member_count(group);
        let mut members = (0..count).map(|index| bindings::rd_kafka_ConsumerGroupDescription_member(group, index));
        let own = |one: &*const bindings::rd_kafka_MemberDescription_t| {
            text(bindings::rd_kafka_MemberDescription_consumer_id(*one)) == member
        };
        members.find(own).map_or_else(Assigned::default, |one| Assigned {
            has: partitions(bindings::rd_kafka_MemberDescription_assignment(one)),
            target: partitions(bindings::rd_kafka_MemberDescription_target_assignment(one)),
        })
    })
}

/// The partitions of an assignment.
///
/// # Safety
/// The assignment is null or alive.
unsafe fn partitions(assignment: *const bindings::rd_kafka_MemberAssignment_t) -> BTreeSet<TopicPartition> {
    if assignment.is_null() {
        return BTreeSet::new();
    }
    // SAFETY: the assignment is alive, and its parts with it; librdkafka says how many partitions there are.
    unsafe {
        let list = bindings::rd_kafka_MemberAssignment_partitions(assignment);
        if list.is_null() || (*list).elems.is_null() {
            return BTreeSet::new();
        }
        let elements = slice::from_raw_parts((*list).elems, usize::try_from((*list).cnt).unwrap_or_default());
        elements.iter().map(|element| TopicPartition::new(text(element.topic), element.partition)).collect()
    }
}

/// The ID that a consumer has as a member of its group; empty before it has joined.
pub(super) fn member_id<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> String {
    let native = consumer.client().native_ptr();
    // SAFETY: the client is alive while it is borrowed; what is returned is ours to free.
    unsafe {
        let id = bindings::rd_kafka_memberid(native);
        let copy = text(id);
        if !id.is_null() {
            bindings::rd_kafka_mem_free(native, id.cast());
        }
        copy
    }
}

/// Asks about a group; waits for the answer, at most so many milliseconds, and reads it.
fn describe<C: ClientContext, T>(
    client: &Client<C>,
    group: &str,
    wait_ms: i32,
    read: impl FnOnce(*const bindings::rd_kafka_ConsumerGroupDescription_t) -> T,
) -> Result<Told<T>, NulError> {
    let group = CString::new(group)?;
    let mut asked = group.as_ptr();
    // SAFETY: the client is alive while it is borrowed, and librdkafka copies the name. Queue and
    // event are destroyed once, after their last use; the answer's parts live as long as the event.
    unsafe {
        let queue = bindings::rd_kafka_queue_new(client.native_ptr());
        bindings::rd_kafka_DescribeConsumerGroups(client.native_ptr(), &raw mut asked, 1, ptr::null(), queue);
        let event = bindings::rd_kafka_queue_poll(queue, wait_ms);
        let told = group_of(event, read);
        if !event.is_null() {
            bindings::rd_kafka_event_destroy(event);
        }
        bindings::rd_kafka_queue_destroy(queue);
        Ok(told)
    }
}

/// Reads the answer to the question for a group.
///
/// # Safety
/// The event is null or alive.
unsafe fn group_of<T>(
    event: *mut bindings::rd_kafka_event_t,
    read: impl FnOnce(*const bindings::rd_kafka_ConsumerGroupDescription_t) -> T,
) -> Told<T> {
    if event.is_null() {
        return Told::Late;
    }
    // SAFETY: the event is alive, and its parts with it; librdkafka says how many groups there are.
    unsafe {
        if bindings::rd_kafka_event_error(event) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Told::Refused(text(bindings::rd_kafka_event_error_string(event)));
        }
        let result = bindings::rd_kafka_event_DescribeConsumerGroups_result(event);
        if result.is_null() {
            return Told::Late; // something else was on the queue
        }
        let mut count = 0;
        let groups = bindings::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if count != 1 {
            return Told::Late;
        }
        let group = *groups;
        let error = bindings::rd_kafka_ConsumerGroupDescription_error(group);
        if error.is_null() {
            return Told::Known(read(group));
        }
        match bindings::rd_kafka_error_code(error) {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Told::Known(read(group)),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND => Told::NoGroup,
            _ => Told::Refused(text(bindings::rd_kafka_error_string(error))),
        }
    }
}

/// A topic or a group.
pub(super) enum Subject<'a> {
    Topic(&'a str),
    Group(&'a str),
}

/// What a client may do with a subject.
pub(super) enum Operations {
    /// These; none, where the brokers do not say.
    Allowed(Option<Vec<u32>>),
    /// The brokers have not answered in time.
    Late,
    /// They refuse even to tell.
    Refused(String),
}

/// Asks what the client may do; waits for the answer, at most so many milliseconds.
pub(super) fn operations<C: ClientContext>(
    client: &Client<C>,
    subject: &Subject<'_>,
    wait_ms: i32,
) -> Result<Operations, NulError> {
    let native = client.native_ptr();
    let (name, op) = match subject {
        Subject::Topic(name) => (name, bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
        Subject::Group(name) => (name, bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS),
    };
    let name = CString::new(*name)?;
    let mut names = [name.as_ptr()];
    // SAFETY: the client is alive while it is borrowed. What is made here is destroyed here, once,
    // after its last use; librdkafka copies the names and the options, and lets go of a queue that
    // is destroyed before the answer. The answer's parts live as long as the event.
    unsafe {
        let options = bindings::rd_kafka_AdminOptions_new(native, op);
        let refused = bindings::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        if !refused.is_null() {
            bindings::rd_kafka_error_destroy(refused);
        }
        let queue = bindings::rd_kafka_queue_new(native);
        match subject {
            Subject::Topic(_) => {
                let topics = bindings::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
                bindings::rd_kafka_DescribeTopics(native, topics, options, queue);
                bindings::rd_kafka_TopicCollection_destroy(topics);
            }
            Subject::Group(_) => {
                bindings::rd_kafka_DescribeConsumerGroups(native, names.as_mut_ptr(), 1, options, queue);
            }
        }
        let event = bindings::rd_kafka_queue_poll(queue, wait_ms);
        let told = allowed(event);
        if !event.is_null() {
            bindings::rd_kafka_event_destroy(event);
        }
        bindings::rd_kafka_queue_destroy(queue);
        bindings::rd_kafka_AdminOptions_destroy(options);
        Ok(told)
    }
}

/// Reads the answer to the question about one subject.
///
/// # Safety
/// The event is null or alive.
unsafe fn allowed(event: *mut bindings::rd_kafka_event_t) -> Operations {
    if event.is_null() {
        return Operations::Late;
    }
    // SAFETY: the event is alive, and its parts with it; librdkafka says how many there are, and
    // its operations are C enumerations, read as the numbers that they are.
    unsafe {
        if bindings::rd_kafka_event_error(event) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Operations::Refused(text(bindings::rd_kafka_event_error_string(event)));
        }
        let (mut found, mut count) = (0, 0);
        let (error, operations) = if bindings::rd_kafka_event_type(event)
            == bindings::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT
        {
            let result = bindings::rd_kafka_event_DescribeTopics_result(event);
            let topics = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut found);
            if found == 0 {
                return Operations::Late;
            }
            let operations = bindings::rd_kafka_TopicDescription_authorized_operations(*topics, &raw mut count);
            (bindings::rd_kafka_TopicDescription_error(*topics), operations)
        } else {
            let result = bindings::rd_kafka_event_DescribeConsumerGroups_result(event);
            if result.is_null() {
                return Operations::Late; // something else was on the queue
            }
            let groups = bindings::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut found);
            if found == 0 {
                return Operations::Late;
            }
            let operations = bindings::rd_kafka_ConsumerGroupDescription_authorized_operations(*groups, &raw mut count);
            (bindings::rd_kafka_ConsumerGroupDescription_error(*groups), operations)
        };
        if !error.is_null() && bindings::rd_kafka_error_code(error) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Operations::Refused(text(bindings::rd_kafka_error_string(error)));
        }
        let told = (!operations.is_null()).then(|| slice::from_raw_parts(operations.cast::<u32>(), count).to_vec());
        Operations::Allowed(told)
    }
}

/// A copy of librdkafka's words.
///
/// # Safety
/// The pointer is null or leads to bytes that end with a zero.
unsafe fn text(said: *const c_char) -> String {
    if said.is_null() {
        return String::new();
    }
    // SAFETY: see above.
    unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned()
}
