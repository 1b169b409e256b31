"""Tables of the TFLite schema that describe the graph, as text that `schema` parses.

An unindented line names a table; each indented line is a field: name, type, and what else there is
to know. The slot id of a field is its position. Types:

``int32``, ``bool``, an enum ...
    A scalar, with ``= default`` where that is not 0, ``False`` or the first name of the enum.
``string``, ``bytes``
    Copied out of the file.
``[int32]``
    A short vector, read as a tuple.
``array int32``
    A vector that may be long, read as a zero-copy NumPy view.
``Tensor``, ``[Tensor]``, ``QuantizationDetails``
    A table, a vector of tables, a union (which takes two slots: type and value).

``-> buffers`` says that the value is an index into that vector, and ``-> tensors or -1`` that -1
stands for "none". ``aligned 16`` asks the writer for that alignment. A name that starts with ``!``
is deprecated: it is kept where a file has it, and has no default.
"""

TABLES = """
Model
    version                 uint32
    operator_codes          [OperatorCode]
    subgraphs               [SubGraph]
    description             string
    buffers                 [Buffer]
    metadata_buffer         [int32] -> buffers
    metadata                [Metadata]
    signature_defs          [SignatureDef]
    external_buffer_groups  [ExternalBufferGroup]
    external_buffers        [ExternalBuffer]

OperatorCode
    deprecated_builtin_code int8
    custom_code             string
    version                 int32 = 1
    builtin_code            int32

SubGraph
    tensors                 [Tensor]
    inputs                  [int32] -> tensors
    outputs                 [int32] -> tensors
    operators               [Operator]
    name                    string
    debug_metadata_index    int32 = -1

Tensor
    shape                   [int32]
    type                    TensorType
    buffer                  uint32 -> buffers
    name                    string
    quantization            QuantizationParameters
    is_variable             bool
    sparsity                SparsityParameters
    shape_signature         [int32]
    has_rank                bool
    variant_tensors         [VariantSubType]
    external_buffer         uint32

VariantSubType
    shape                   [int32]
    type                    TensorType
    has_rank                bool

Operator
    opcode_index            uint32 -> operator_codes
    inputs                  [int32] -> tensors or -1
    outputs                 [int32] -> tensors or -1
    builtin_options         BuiltinOptions
    custom_options          bytes
    custom_options_format   CustomOptionsFormat
    mutating_variable_inputs [bool]
    intermediates           [int32] -> tensors or -1
    large_custom_options_offset uint64
    large_custom_options_size   uint64
    builtin_options_2       BuiltinOptions2
    debug_metadata_index    int32 = -1

Buffer
    data                    array uint8 aligned 16
    offset                  uint64
    size                    uint64

ExternalBufferGroup
    name                    string

ExternalBuffer
    id                      uint32
    group                   uint32 -> external_buffer_groups
    offset                  uint64
    length                  uint64
    packing                 string

Metadata
    name                    string
    buffer                  uint32 -> buffers

SignatureDef
    inputs                  [TensorMap]
    outputs                 [TensorMap]
    signature_key           string
    !deprecated_tag         string
    subgraph_index          uint32 -> subgraphs

TensorMap
    name                    string
    tensor_index            uint32

QuantizationParameters
    min                     array float32
    max                     array float32
    scale                   array float32
    zero_point              array int64
    details                 QuantizationDetails
    quantized_dimension     int32

CustomQuantization
    custom                  bytes aligned 16

BlockwiseQuantization
    scales                  int32 -> tensors
    zero_points             int32 -> tensors or -1
    block_size              int32

MultiAxisQuantization
    scales                  int32 -> tensors
    zero_points             int32 -> tensors or -1
    block_size              int32
    quantized_dimensions    [int32]

SparsityParameters
    traversal_order         [int32]
    block_map               [int32]
    dim_metadata            [DimensionMetadata]

DimensionMetadata
    format                  DimensionType
    dense_size              int32
    array_segments          SparseIndexVector
    array_indices           SparseIndexVector

Int32Vector
    values                  array int32
Uint16Vector
    values                  array uint16 aligned 4
Uint8Vector
    values                  array uint8 aligned 4
"""
