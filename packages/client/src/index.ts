export { type DurableMessage, DurableSubscription, type DurableSubscriptionOptions, durableSubscription } from "./durable-subscription.ts";
