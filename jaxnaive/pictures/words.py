"""The names of operations in a reader's words; JAX has those of its own parts, such as ``dot_general``."""

from jaxnaive.graph import Graph, Node, Operation, is_number

SIGNS = {
    "add": "+", "add_any": "+", "sub": "−", "mul": "×", "div": "÷", "rem": "mod", "eq": "=", "ne": "≠",
    "pow": "^", "lt": "<", "le": "≤", "gt": ">", "ge": "≥", "and": "and", "or": "or",
}  # fmt: skip
WORDS = {
    "dot_general": "dot", "conv_general_dilated": "convolution", "reduce_sum": "sum", "reduce_max": "max",
    "reduce_prod": "product", "reduce_min": "min", "reduce_and": "all", "reduce_or": "any", "neg": "negative",
    "logistic": "sigmoid", "broadcast_in_dim": "broadcast", "convert_element_type": "convert",
    "select_n": "where", "rev": "reverse", "iota": "range", "dynamic_slice": "slice", "cond": "if",
}  # fmt: skip


def name(graph: Graph, node: Node) -> str:
    """What a reader calls a node, with the numbers among its operands, such as ``2 ×`` and ``max(_, 1)``.

    Args:
      graph: that the node is in.
      node: of the graph.

    >>> from jaxnaive.jaxprs import trace
    >>> graph = trace(lambda x: 2 * x**3 - 1, 1.0)
    >>> [name(graph, node) for node in graph.nodes if isinstance(node, Operation)]
    ['^ 3', '2 ×', '− 1']
    """
    if not isinstance(node, Operation):
        return node.name
    among = [graph.nodes[operand.node] for operand in node.operands]
    operands = [operand.name if is_number(operand) else "_" for operand in among]
    if node.primitive == "integer_pow":
        return "square" if node.settings["y"] == 2 else f"^ {node.settings['y']}"
    if node.primitive == "max" and sorted(operands) == ["0", "_"]:
        return "relu"
    if node.name in SIGNS:
        numbers = [operand.replace("_", "") for operand in operands]
        return f" {SIGNS[node.name]} ".join(numbers).strip()
    word = WORDS.get(node.name) or node.name.strip("_")
    return word if set(operands) <= {"_"} else f"{word}({', '.join(operands)})"
