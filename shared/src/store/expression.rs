//! Writing an update with its condition. Names and values are numbered placeholders, so no attribute name can collide
//! with a reserved word.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{Core, Item, StoreError, keys::Key, unavailable};

/// An update under construction.
#[derive(Debug, Default)]
pub(super) struct Update {
    set: Vec<String>,
    add: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

/// What became of a conditional update.
#[derive(Debug)]
pub(super) enum Updated {
    /// Written; the item as it is now.
    Done(Item),
    /// The condition did not hold; the item as it was, empty when there is none.
    Refused(Item),
}

impl Update {
    /// The placeholder of a name.
    pub(super) fn name(&mut self, name: &str) -> String {
        if let Some((placeholder, _)) = self.names.iter().find(|(_, known)| *known == name) {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// The placeholder of a part of a map, such as the time of a moment.
    pub(super) fn part(&mut self, map: &str, part: &str) -> String {
        format!("{}.{}", self.name(map), self.name(part))
    }

    /// The placeholder of a value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// `SET name = value`.
    pub(super) fn set(&mut self, name: &str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.set.push(format!("{name} = {value}"));
    }

    /// `SET map.part = value`; the map must be there.
    pub(super) fn set_part(&mut self, map: &str, part: &str, value: AttributeValue) {
        let (part, value) = (self.part(map, part), self.value(value));
        self.set.push(format!("{part} = {value}"));
    }

    /// `SET name = value` unless the attribute is there.
    pub(super) fn set_if_absent(&mut self, name: &str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.set.push(format!("{name} = if_not_exists({name}, {value})"));
    }

    /// Puts these at the end of a list.
    pub(super) fn append(&mut self, name: &str, values: Vec<AttributeValue>) {
        let (name, values) = (self.name(name), self.value(AttributeValue::L(values)));
        let none = self.value(AttributeValue::L(Vec::new()));
        self.set.push(format!("{name} = list_append(if_not_exists({name}, {none}), {values})"));
    }

    /// `ADD name value`.
    pub(super) fn add(&mut self, name: &str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.add.push(format!("{name} {value}"));
    }

    /// `REMOVE name`.
    pub(super) fn remove(&mut self, name: &str) {
        let name = self.name(name);
        self.remove.push(name);
    }

    /// A condition; all of them must hold.
    pub(super) fn only_if(&mut self, condition: impl Into<String>) {
        self.conditions.push(condition.into());
    }

    /// The attribute is there.
    pub(super) fn only_if_present(&mut self, name: &str) {
        let name = self.name(name);
        self.only_if(format!("attribute_exists({name})"));
    }

    /// The attribute is not there.
    pub(super) fn only_if_absent(&mut self, name: &str) {
        let name = self.name(name);
        self.only_if(format!("attribute_not_exists({name})"));
    }

    /// The attribute equals the value.
    pub(super) fn only_if_equal(&mut self, name: &str, value: AttributeValue) {
        let (name, value) = (self.name(name), self.value(value));
        self.only_if(format!("{name} = {value}"));
    }

    fn expression(&self) -> String {
        let mut clauses = Vec::new();
        for (verb, parts) in [("SET", &self.set), ("ADD", &self.add), ("REMOVE", &self.remove)] {
            if !parts.is_empty() {
                clauses.push(format!("{verb} {}", parts.join(", ")));
            }
        }
        clauses.join(" ")
    }

    fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty())
            .then(|| self.conditions.iter().map(|condition| format!("({condition})")).collect::<Vec<_>>().join(" AND "))
    }

    /// Writes it to a table.
    pub(super) async fn write(
        self,
        client: &aws_sdk_dynamodb::Client,
        table: &str,
        key: Key,
    ) -> Result<Updated, StoreError> {
        let result = client
            .update_item()
            .table_name(table)
            .set_key(Some(key.item()))
            .update_expression(self.expression())
            .set_condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(done) => Ok(Updated::Done(done.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
                    refused,
                )) => Ok(Updated::Refused(refused.item().cloned().unwrap_or_default())),
                _ => Err(unavailable("UpdateItem", &error)),
            },
        }
    }

    /// The same as one part of a transaction.
    pub(super) fn in_transaction(
        self,
        table: &str,
        key: Key,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, StoreError> {
        let update = aws_sdk_dynamodb::types::Update::builder()
            .table_name(table)
            .set_key(Some(key.item()))
            .update_expression(self.expression())
            .set_condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() })?;
        Ok(aws_sdk_dynamodb::types::TransactWriteItem::builder().update(update).build())
    }
}

impl Core {
    /// Writes the item if the conditions hold; else the stored item, empty when there is none.
    pub(super) async fn put_if(&self, item: Item, conditions: Update) -> Result<Option<Item>, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(conditions.condition())
            .set_expression_attribute_names(Some(conditions.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(conditions.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Some(refused.item().cloned().unwrap_or_default()))
                }
                _ => Err(unavailable("PutItem", &error)),
            },
        }
    }

    pub(super) async fn update(&self, key: Key, update: Update) -> Result<Updated, StoreError> {
        update.write(&self.client, &self.table, key).await
    }
}
