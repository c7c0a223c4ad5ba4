export type { Candidate } from "./candidate.ts";
export { divideByCount } from "./divide.ts";
export { NoNode } from "./no-node.ts";
export { type KnownNodes, NodeSelector, type SelectableNode, type SelectionRequest, type SelectionRules } from "./node-selector.ts";
export { type RebalancePlan, rebalancePlan } from "./rebalance.ts";
export type { Affinity, SessionAnswer, SessionOutcome, SessionRequest } from "./session.ts";
export { type StrategyName, strategyNames, usesUser } from "./strategy.ts";
export { takesClients } from "./usable.ts";
