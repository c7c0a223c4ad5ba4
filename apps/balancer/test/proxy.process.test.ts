import { doorContract } from "./door-contract.ts";

doorContract("proxy");
