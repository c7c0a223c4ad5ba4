export type { Candidate } from "./candidate.ts";
export { divideByCount } from "./divide.ts";
export { NoNode } from "./no-node.ts";
export { type KnownNodes, NodeSelector, type SelectableNode, type SelectionRequest, type SelectionRules } from "./node-selector.ts";
export { type NodeBalance, type RebalancePlan, type RebalanceRules, rebalancePlan } from "./rebalance.ts";
export type { Affinity, SessionAnswer, SessionOutcome, SessionRequest } from "./session.ts";
export { createStrategy, type StrategyName, strategyNames } from "./strategy.ts";
export { takesClients } from "./usable.ts";
