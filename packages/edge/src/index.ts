export { runEdge } from "./run-edge.ts";
