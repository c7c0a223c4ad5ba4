import { doorContract } from "./door-contract.ts";

doorContract("handoff");
