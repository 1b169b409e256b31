"""Options tables of the operators, in the format of `tables`, grouped by subject.

A line of several names lists tables without fields. In these tables an absent vector, string or
byte vector reads as an empty one: no TFLite operator that runs tells the two apart.
"""

OPTIONS = """
Conv2DOptions
    padding                     Padding
    stride_w                    int32
    stride_h                    int32
    fused_activation_function   ActivationFunctionType
    dilation_w_factor           int32 = 1
    dilation_h_factor           int32 = 1
    quantized_bias_type         TensorType
DepthwiseConv2DOptions
    padding                     Padding
    stride_w                    int32
    stride_h                    int32
    depth_multiplier            int32
    fused_activation_function   ActivationFunctionType
    dilation_w_factor           int32 = 1
    dilation_h_factor           int32 = 1
Conv3DOptions
    padding                     Padding
    stride_d                    int32
    stride_w                    int32
    stride_h                    int32
    fused_activation_function   ActivationFunctionType
    dilation_d_factor           int32 = 1
    dilation_w_factor           int32 = 1
    dilation_h_factor           int32 = 1
TransposeConvOptions
    padding                     Padding
    stride_w                    int32
    stride_h                    int32
    fused_activation_function   ActivationFunctionType
    quantized_bias_type         TensorType
Pool2DOptions
    padding                     Padding
    stride_w                    int32
    stride_h                    int32
    filter_width                int32
    filter_height               int32
    fused_activation_function   ActivationFunctionType
FullyConnectedOptions
    fused_activation_function   ActivationFunctionType
    weights_format              FullyConnectedOptionsWeightsFormat
    keep_num_dims               bool
    asymmetric_quantize_inputs  bool
    quantized_bias_type         TensorType
BatchMatMulOptions
    adj_x                       bool
    adj_y                       bool
    asymmetric_quantize_inputs  bool

AddOptions
    fused_activation_function   ActivationFunctionType
    pot_scale_int16             bool = True
SubOptions
    fused_activation_function   ActivationFunctionType
    pot_scale_int16             bool = True
MulOptions
    fused_activation_function   ActivationFunctionType
DivOptions
    fused_activation_function   ActivationFunctionType
L2NormOptions
    fused_activation_function   ActivationFunctionType
LocalResponseNormalizationOptions
    radius                      int32
    bias                        float32
    alpha                       float32
    beta                        float32
SoftmaxOptions
    beta                        float32
LeakyReluOptions
    alpha                       float32
GeluOptions
    approximate                 bool
CumsumOptions
    exclusive                   bool
    reverse                     bool
ReducerOptions
    keep_dims                   bool
ArgMaxOptions
    output_type                 TensorType
ArgMinOptions
    output_type                 TensorType
FakeQuantOptions
    min                         float32
    max                         float32
    num_bits                    int32
    narrow_range                bool
CastOptions
    in_data_type                TensorType
    out_data_type               TensorType
BucketizeOptions
    boundaries                  [float32]
RandomOptions
    seed                        int64
    seed2                       int64
AddNOptions SquaredDifferenceOptions MaximumMinimumOptions FloorDivOptions FloorModOptions PowOptions
AbsOptions NegOptions SignOptions ExpOptions CosOptions ATan2Options SquareOptions HardSwishOptions
LogSoftmaxOptions EqualOptions NotEqualOptions GreaterOptions GreaterEqualOptions LessOptions
LessEqualOptions LogicalAndOptions LogicalOrOptions LogicalNotOptions BitwiseXorOptions RightShiftOptions
BitcastOptions QuantizeOptions DequantizeOptions SelectOptions SelectV2Options WhereOptions
SegmentSumOptions UnsortedSegmentMaxOptions UnsortedSegmentMinOptions UnsortedSegmentProdOptions
UnsortedSegmentSumOptions NonMaxSuppressionV4Options NonMaxSuppressionV5Options Rfft2dOptions

ConcatenationOptions
    axis                        int32
    fused_activation_function   ActivationFunctionType
ReshapeOptions
    new_shape                   [int32]
SqueezeOptions
    squeeze_dims                [int32]
StridedSliceOptions
    begin_mask                  int32
    end_mask                    int32
    ellipsis_mask               int32
    new_axis_mask               int32
    shrink_axis_mask            int32
    offset                      bool
SplitOptions
    num_splits                  int32
SplitVOptions
    num_splits                  int32
PackOptions
    values_count                int32
    axis                        int32
UnpackOptions
    num                         int32
    axis                        int32
GatherOptions
    axis                        int32
    batch_dims                  int32
OneHotOptions
    axis                        int32
UniqueOptions
    idx_out_type                TensorType = INT32
ReverseSequenceOptions
    seq_dim                     int32
    batch_dim                   int32
MirrorPadOptions
    mode                        MirrorPadMode
ShapeOptions
    out_type                    TensorType
SpaceToDepthOptions
    block_size                  int32
DepthToSpaceOptions
    block_size                  int32
SparseToDenseOptions
    validate_indices            bool
ResizeBilinearOptions
    !new_height                 int32
    !new_width                  int32
    align_corners               bool
    half_pixel_centers          bool
ResizeNearestNeighborOptions
    align_corners               bool
    half_pixel_centers          bool
PadOptions PadV2Options TransposeOptions SliceOptions TileOptions ExpandDimsOptions RankOptions
FillOptions RangeOptions ZerosLikeOptions BroadcastToOptions TopKV2Options ReverseV2Options
GatherNdOptions ScatterNdOptions MatrixDiagOptions MatrixSetDiagOptions BatchToSpaceNDOptions
SpaceToBatchNDOptions DensifyOptions DynamicUpdateSliceOptions DilateOptions

RNNOptions
    fused_activation_function   ActivationFunctionType
    asymmetric_quantize_inputs  bool
SequenceRNNOptions
    time_major                  bool
    fused_activation_function   ActivationFunctionType
    asymmetric_quantize_inputs  bool
BidirectionalSequenceRNNOptions
    time_major                  bool
    fused_activation_function   ActivationFunctionType
    merge_outputs               bool
    asymmetric_quantize_inputs  bool
LSTMOptions
    fused_activation_function   ActivationFunctionType
    cell_clip                   float32
    proj_clip                   float32
    kernel_type                 LSTMKernelType
    asymmetric_quantize_inputs  bool
UnidirectionalSequenceLSTMOptions
    fused_activation_function   ActivationFunctionType
    cell_clip                   float32
    proj_clip                   float32
    time_major                  bool
    asymmetric_quantize_inputs  bool
    diagonal_recurrent_tensors  bool
BidirectionalSequenceLSTMOptions
    fused_activation_function   ActivationFunctionType
    cell_clip                   float32
    proj_clip                   float32
    merge_outputs               bool
    time_major                  bool = True
    asymmetric_quantize_inputs  bool
SVDFOptions
    rank                        int32
    fused_activation_function   ActivationFunctionType
    asymmetric_quantize_inputs  bool

ConcatEmbeddingsOptions
    num_channels                int32
    num_columns_per_channel     [int32]
    embedding_dim_per_channel   [int32]
EmbeddingLookupSparseOptions
    combiner                    CombinerType
LSHProjectionOptions
    type                        LSHProjectionType
SkipGramOptions
    ngram_size                  int32
    max_skip_size               int32
    include_all_ngrams          bool

CallOptions
    subgraph                    uint32 -> subgraphs
CallOnceOptions
    init_subgraph_index         int32 -> subgraphs
IfOptions
    then_subgraph_index         int32 -> subgraphs
    else_subgraph_index         int32 -> subgraphs
WhileOptions
    cond_subgraph_index         int32 -> subgraphs
    body_subgraph_index         int32 -> subgraphs
HashtableOptions
    table_id                    int32
    key_dtype                   TensorType
    value_dtype                 TensorType
VarHandleOptions
    container                   string
    shared_name                 string
HashtableFindOptions HashtableImportOptions HashtableSizeOptions ReadVariableOptions AssignVariableOptions

StablehloBroadcastInDimOptions
    broadcast_dimensions        [int64]
StablehloCaseOptions
    branch_subgraph_indices     [int32] -> subgraphs
StablehloCompareOptions
    comparison_direction        StablehloComparisonDirection
    compare_type                StablehloComparisonType
StableHLOCompositeOptions
    name                        string
    decomposition_subgraph_index int32 -> subgraphs or -1
    composite_attributes        bytes
    composite_attributes_format CustomOptionsFormat
    version                     int32
StablehloConcatenateOptions
    dimension                   int64
StablehloConvolutionOptions
    window_strides              [int64]
    padding                     [int64]
    lhs_dilation                [int64]
    rhs_dilation                [int64]
    window_reversal             [bool]
    input_batch_dimension       int64
    input_feature_dimension     int64
    input_spatial_dimensions    [int64]
    kernel_input_feature_dimension int64
    kernel_output_feature_dimension int64
    kernel_spatial_dimensions   [int64]
    output_batch_dimension      int64
    output_feature_dimension    int64
    output_spatial_dimensions   [int64]
    feature_group_count         int64
    batch_group_count           int64
    precision_config            [StablehloPrecisionConfig]
StablehloCustomCallOptions
    call_target_name            string
    has_side_effect             bool
    backend_config              string
    api_version                 int32
    called_computations         [int32] -> subgraphs
    custom_attributes           bytes
StablehloDotGeneralOptions
    lhs_batching_dimensions     [int64]
    rhs_batching_dimensions     [int64]
    lhs_contracting_dimensions  [int64]
    rhs_contracting_dimensions  [int64]
    precision_config            [StablehloPrecisionConfig]
StablehloDynamicSliceOptions
    slice_sizes                 [int64]
StablehloGatherOptions
    offset_dims                 [int64]
    collapsed_slice_dims        [int64]
    start_index_map             [int64]
    index_vector_dim            int64
    slice_sizes                 [int64]
    indices_are_sorted          bool
StablehloIotaOptions
    iota_dimension              int64
StablehloPadOptions
    edge_padding_low            [int64]
    edge_padding_high           [int64]
    interior_padding            [int64]
StablehloReduceOptions
    dimensions                  [int64]
    body_subgraph_index         int32 -> subgraphs
StablehloReduceWindowOptions
    window_dimensions           [int64]
    window_strides              [int64]
    base_dilations              [int64]
    window_dilations            [int64]
    padding                     [int64]
    body_subgraph_index         int32 -> subgraphs
StablehloRngBitGeneratorOptions
    algorithm                   RngAlgorithm
StablehloScatterOptions
    indices_are_sorted          bool
    update_window_dims          [int64]
    inserted_window_dims        [int64]
    scatter_dims_to_operand_dims [int64]
    index_vector_dim            int64
    unique_indices              bool
    update_computation_subgraph_index int32 -> subgraphs
StablehloSliceOptions
    start_indices               [int64]
    limit_indices               [int64]
    strides                     [int64]
StablehloSortOptions
    dimension                   int64
    is_stable                   bool
    comparator_subgraph_index   int32 -> subgraphs
StablehloTransposeOptions
    permutation                 [int64]
StablehloWhileOptions
    cond_subgraph_index         int32 -> subgraphs
    body_subgraph_index         int32 -> subgraphs
StablehloShiftLeftOptions
ReduceWindowOptions
    reduce_function             ReduceWindowFunction
"""

# Operators whose options table is not the operator's own name in CamelCase.
SHARED_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "CONV_3D_TRANSPOSE": "Conv3DOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_ALL": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
    "RANDOM_STANDARD_NORMAL": "RandomOptions",
    "RANDOM_UNIFORM": "RandomOptions",
    "MULTINOMIAL": "RandomOptions",
}
