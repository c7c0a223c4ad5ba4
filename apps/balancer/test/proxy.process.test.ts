import { dataPathContract } from "./data-path-contract.ts";

dataPathContract("proxy");
