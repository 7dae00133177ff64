//! Appends operations to an MLIR block, for one lane or for a vector of lanes alike.
//!
//! Nothing here knows kernels. A value is a plain MLIR value: of an element type where `lanes` is 1, of a vector of it
//! otherwise. `Elem` says which, as MLIR's own types are slow to ask.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use melior::Context;
use melior::dialect::llvm;
use melior::ir::attribute::{
    DenseElementsAttribute, DenseI32ArrayAttribute, FlatSymbolRefAttribute, FloatAttribute, IntegerAttribute,
    StringAttribute, TypeAttribute,
};
use melior::ir::block::{BlockLike, BlockRef};
use melior::ir::operation::{OperationBuilder, OperationLike};
use melior::ir::r#type::IntegerType;
use melior::ir::{Attribute, Block, Identifier, Location, Module, Region, RegionLike, Type, Value, ValueLike};

use legate_jit_ir::DType;

use crate::target::Level;

/// A value anywhere in the module. Blocks outlive the building, so the block's lifetime is the context's.
pub type V<'c> = Value<'c, 'c>;

/// The types that a register can have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Elem {
    I1,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Elem {
    pub const ALL: [Elem; 7] = [Elem::I1, Elem::I8, Elem::I16, Elem::I32, Elem::I64, Elem::F32, Elem::F64];

    /// What a value of this type (or each part of a complex one) is in a register.
    pub fn of(dtype: DType) -> Elem {
        match dtype {
            DType::Bool => Elem::I1,
            DType::I8 | DType::U8 => Elem::I8,
            DType::I16 | DType::U16 => Elem::I16,
            DType::I32 | DType::U32 => Elem::I32,
            DType::I64 | DType::U64 => Elem::I64,
            DType::F32 | DType::C64 => Elem::F32,
            DType::F64 | DType::C128 => Elem::F64,
        }
    }

    /// What it is in memory: a bool is a byte there.
    pub fn in_memory(dtype: DType) -> Elem {
        if dtype == DType::Bool { Elem::I8 } else { Elem::of(dtype) }
    }

    pub const fn bytes(self) -> u32 {
        match self {
            Elem::I1 | Elem::I8 => 1,
            Elem::I16 => 2,
            Elem::I32 | Elem::F32 => 4,
            Elem::I64 | Elem::F64 => 8,
        }
    }

    pub const fn bits(self) -> u32 {
        match self {
            Elem::I1 => 1,
            other => other.bytes() * 8,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self, Elem::F32 | Elem::F64)
    }
}

/// The types of a function's arguments and of its result.
type Signature<'c> = (Vec<Type<'c>>, Option<Type<'c>>);

/// Types and names that are used all the time, made once for a module.
pub struct Common<'c> {
    pub context: &'c Context,
    pub location: Location<'c>,
    elems: [Type<'c>; 7],
    pub ptr: Type<'c>,
    value: Identifier<'c>,
    alignment: Identifier<'c>,
    /// The functions outside that were called: the types of their arguments and of their result, which some lack.
    calls: RefCell<BTreeMap<String, Signature<'c>>>,
    /// Functions that LLVM will call on its own.
    libm: RefCell<BTreeSet<String>>,
    /// See [`Build::room`].
    room: Cell<Option<V<'c>>>,
}

impl<'c> Common<'c> {
    pub fn new(context: &'c Context) -> Common<'c> {
        let elems = Elem::ALL.map(|e| match e {
            Elem::F32 => Type::float32(context),
            Elem::F64 => Type::float64(context),
            int => IntegerType::new(context, int.bits()).into(),
        });
        Common {
            context,
            location: Location::unknown(context),
            elems,
            ptr: melior::dialect::llvm::r#type::pointer(context, 0),
            value: Identifier::new(context, "value"),
            alignment: Identifier::new(context, "alignment"),
            calls: RefCell::default(),
            libm: RefCell::default(),
            room: Cell::new(None),
        }
    }

    pub fn elem(&self, e: Elem) -> Type<'c> {
        self.elems[e as usize]
    }

    pub fn vector(&self, e: Elem, lanes: u32) -> Type<'c> {
        if lanes == 1 { self.elem(e) } else { Type::vector(&[lanes as u64], self.elem(e)) }
    }

    pub fn name(&self, name: &str) -> Identifier<'c> {
        Identifier::new(self.context, name)
    }

    /// Notes that LLVM will call these functions of libm.
    pub fn calls_libm(&self, names: [&str; 2]) {
        self.libm.borrow_mut().extend(names.map(String::from));
    }

    /// Declares in the module what was called, and gives the names.
    pub fn declare(&self, module: &Module<'c>) -> BTreeSet<String> {
        const PURE: &str = "#llvm.memory_effects<other = none, argMem = none, inaccessibleMem = none, errnoMem = none, \
            targetMem0 = none, targetMem1 = none>";
        const WRITES: &str = "#llvm.memory_effects<other = none, argMem = write, inaccessibleMem = none, errnoMem = none, \
            targetMem0 = none, targetMem1 = none>";
        const READS_AND_WRITES: &str = "#llvm.memory_effects<other = none, argMem = readwrite, inaccessibleMem = none, \
            errnoMem = none, targetMem0 = none, targetMem1 = none>";
        for (name, (arguments, result)) in &*self.calls.borrow() {
            let effects = match result {
                Some(_) if arguments.contains(&self.ptr) => WRITES,
                Some(_) => PURE,
                None => READS_AND_WRITES,
            };
            let ty = llvm::r#type::function(result.unwrap_or(llvm::r#type::void(self.context)), arguments, false);
            let attributes = [
                (self.name("sym_name"), StringAttribute::new(self.context, name).into()),
                (self.name("function_type"), TypeAttribute::new(ty).into()),
                (self.name("linkage"), llvm::attributes::linkage(self.context, llvm::attributes::Linkage::External)),
                (self.name("memory_effects"), Attribute::parse(self.context, effects).expect("an attribute of LLVM's")),
                (self.name("no_unwind"), Attribute::unit(self.context)),
                (self.name("will_return"), Attribute::unit(self.context)),
            ];
            let function = OperationBuilder::new("llvm.func", self.location)
                .add_attributes(&attributes)
                .add_regions([Region::new()])
                .build()
                .expect("a declaration");
            module.body().append_operation(function);
        }
        self.calls.borrow().keys().chain(&*self.libm.borrow()).cloned().collect()
    }

    pub fn i64_attribute(&self, v: i64) -> Attribute<'c> {
        IntegerAttribute::new(self.elem(Elem::I64), v).into()
    }
}

/// Where operations go, and how many lanes they have.
#[derive(Clone, Copy)]
pub struct Build<'c, 'b> {
    pub common: &'b Common<'c>,
    pub block: BlockRef<'c, 'c>,
    pub lanes: u32,
    pub math: Math,
    /// The function's first block, on a CPU.
    pub entry: Option<BlockRef<'c, 'c>>,
}

/// Who computes transcendental functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Math {
    /// The vector math library, with the vectors of this level.
    Cpu(Level),
    /// CUDA's library for devices, one element at a time.
    Gpu,
}

impl<'c, 'b> Build<'c, 'b> {
    /// The same place with another number of lanes.
    pub fn with_lanes(self, lanes: u32) -> Build<'c, 'b> {
        Build { lanes, ..self }
    }

    pub fn ty(&self, e: Elem) -> Type<'c> {
        self.common.vector(e, self.lanes)
    }

    fn append(&self, builder: OperationBuilder<'c>) -> melior::ir::OperationRef<'c, 'c> {
        self.block.append_operation(builder.build().expect("operands and attributes fit the operation"))
    }

    pub fn op_typed(
        &self,
        name: &str,
        operands: &[V<'c>],
        attributes: &[(Identifier<'c>, Attribute<'c>)],
        result: Type<'c>,
    ) -> V<'c> {
        let op = self.append(
            OperationBuilder::new(name, self.common.location)
                .add_operands(operands)
                .add_attributes(attributes)
                .add_results(&[result]),
        );
        op.result(0).expect("one result").into()
    }

    /// An operation with one result of the builder's number of lanes.
    pub fn op(&self, name: &str, operands: &[V<'c>], result: Elem) -> V<'c> {
        self.op_typed(name, operands, &[], self.ty(result))
    }

    pub fn effect(&self, name: &str, operands: &[V<'c>], attributes: &[(Identifier<'c>, Attribute<'c>)]) {
        self.append(
            OperationBuilder::new(name, self.common.location).add_operands(operands).add_attributes(attributes),
        );
    }

    // Constants.

    pub fn int(&self, e: Elem, v: i64) -> V<'c> {
        // MLIR wants the value to fit its width, read as signed (i1: as 0 or -1, either is taken).
        let shift = 64 - e.bits();
        let v = (v << shift) >> shift;
        self.constant(e, IntegerAttribute::new(self.common.elem(e), v).into())
    }

    pub fn float(&self, e: Elem, v: f64) -> V<'c> {
        self.constant(e, FloatAttribute::new(self.common.context, self.common.elem(e), v).into())
    }

    /// A number of any type, whole for integers.
    pub fn number(&self, e: Elem, v: f64) -> V<'c> {
        if e.is_float() { self.float(e, v) } else { self.int(e, v as i64) }
    }

    /// An element that is not complex, from its bits.
    pub fn scalar(&self, dtype: DType, bits: u64) -> V<'c> {
        match dtype {
            DType::F32 => self.float(Elem::F32, f32::from_bits(bits as u32) as f64),
            DType::F64 => self.float(Elem::F64, f64::from_bits(bits)),
            int => self.int(Elem::of(int), bits as i64),
        }
    }

    fn constant(&self, e: Elem, element: Attribute<'c>) -> V<'c> {
        let ty = self.ty(e);
        let value = if self.lanes == 1 { element } else { DenseElementsAttribute::splat(ty, element).into() };
        self.op_typed("arith.constant", &[], &[(self.common.value, value)], ty)
    }

    /// 0, 1, 2 … in the lanes.
    pub fn iota(&self) -> V<'c> {
        if self.lanes == 1 {
            return self.int(Elem::I64, 0);
        }
        let values: Vec<i64> = (0..self.lanes as i64).collect();
        let ty = self.ty(Elem::I64);
        let value = DenseElementsAttribute::i64_values(ty, &values);
        self.op_typed("arith.constant", &[], &[(self.common.value, value.into())], ty)
    }

    // Vectors.

    /// One element in every lane.
    pub fn splat(&self, e: Elem, scalar: V<'c>) -> V<'c> {
        if self.lanes == 1 {
            return scalar;
        }
        let first = self.insert(self.poison(e), scalar, 0);
        self.shuffle(e, first, first, &vec![0; self.lanes as usize])
    }

    pub fn poison(&self, e: Elem) -> V<'c> {
        self.op_typed("llvm.mlir.poison", &[], &[], self.ty(e))
    }

    pub fn insert(&self, vector: V<'c>, scalar: V<'c>, lane: u32) -> V<'c> {
        let position = self.with_lanes(1).int(Elem::I32, lane as i64);
        self.op_typed("llvm.insertelement", &[vector, scalar, position], &[], vector.r#type())
    }

    pub fn extract(&self, e: Elem, vector: V<'c>, lane: u32) -> V<'c> {
        let position = self.with_lanes(1).int(Elem::I32, lane as i64);
        self.op_typed("llvm.extractelement", &[vector, position], &[], self.common.elem(e))
    }

    /// Lanes picked from two vectors put one behind the other.
    pub fn shuffle(&self, e: Elem, a: V<'c>, b: V<'c>, mask: &[i32]) -> V<'c> {
        let attribute = DenseI32ArrayAttribute::new(self.common.context, mask).into();
        let ty = self.common.vector(e, mask.len() as u32);
        self.op_typed("llvm.shufflevector", &[a, b], &[(self.common.name("mask"), attribute)], ty)
    }

    // Memory. `lanes` elements of type `e`, which lie one behind the other and are aligned as elements.

    fn alignment(&self, e: Elem) -> (Identifier<'c>, Attribute<'c>) {
        (self.common.alignment, self.common.i64_attribute(e.bytes() as i64))
    }

    pub fn load(&self, e: Elem, from: V<'c>) -> V<'c> {
        self.op_typed("llvm.load", &[from], &[self.alignment(e)], self.ty(e))
    }

    pub fn store(&self, e: Elem, value: V<'c>, to: V<'c>) {
        self.effect("llvm.store", &[value, to], &[self.alignment(e)]);
    }

    /// Stores past the caches, to an address at the vector's (or a cache line's) boundary.
    pub fn store_past(&self, e: Elem, value: V<'c>, to: V<'c>) {
        let bytes = (self.lanes * e.bytes()).min(64) as i64;
        let alignment = (self.common.alignment, self.common.i64_attribute(bytes));
        let past = (self.common.name("nontemporal"), Attribute::unit(self.common.context));
        self.effect("llvm.store", &[value, to], &[alignment, past]);
    }

    /// What was stored before is seen by other threads before what is stored later, stores past the caches included.
    pub fn fence(&self) {
        const SEQUENTIALLY_CONSISTENT: i64 = 7;
        let ordering = self.common.i64_attribute(SEQUENTIALLY_CONSISTENT);
        self.effect("llvm.fence", &[], &[(self.common.name("ordering"), ordering)]);
    }

    /// Room for a vector in the function's frame, where a call writes its second result; the same for all calls. None on a GPU.
    pub fn room(&self) -> Option<V<'c>> {
        let (entry, Math::Cpu(level)) = (self.entry?, self.math) else { return None };
        if let Some(room) = self.common.room.get() {
            return Some(room);
        }
        let location = self.common.location;
        let first = |operation: OperationBuilder<'c>, place: usize| -> V<'c> {
            let operation = operation.build().expect("operands and attributes fit the operation");
            entry.insert_operation(place, operation).result(0).expect("one result").into()
        };
        let one = OperationBuilder::new("llvm.mlir.constant", location)
            .add_attributes(&[(self.common.value, self.common.i64_attribute(1))])
            .add_results(&[self.common.elem(Elem::I64)]);
        let bytes = level.vector_bytes();
        let vector = TypeAttribute::new(self.common.vector(Elem::I8, bytes)).into();
        let alignment = (self.common.alignment, self.common.i64_attribute(bytes as i64));
        let room = OperationBuilder::new("llvm.alloca", location)
            .add_operands(&[first(one, 0)])
            .add_attributes(&[(self.common.name("elem_type"), vector), alignment])
            .add_results(&[self.common.ptr]);
        let room = first(room, 1);
        self.common.room.set(Some(room));
        Some(room)
    }

    pub fn load_ptr(&self, from: V<'c>) -> V<'c> {
        self.op_typed("llvm.load", &[from], &[self.alignment(Elem::I64)], self.common.ptr)
    }

    /// Asks for the line of an address, which need not be memory, to be read again and again from the nearest cache.
    pub fn prefetch(&self, address: V<'c>) {
        let number = |n: i64| IntegerAttribute::new(self.common.elem(Elem::I32), n).into();
        let name = |name: &str| self.common.name(name);
        let attributes = [(name("rw"), number(0)), (name("hint"), number(3)), (name("cache"), number(1))];
        self.effect("llvm.intr.prefetch", &[address], &attributes);
    }

    /// Loads the lanes that the mask names; the others get `other`.
    pub fn masked_load(&self, e: Elem, from: V<'c>, mask: V<'c>, other: V<'c>) -> V<'c> {
        let alignment =
            (self.common.alignment, IntegerAttribute::new(self.common.elem(Elem::I32), e.bytes() as i64).into());
        self.op_typed("llvm.intr.masked.load", &[from, mask, other], &[alignment], self.ty(e))
    }

    pub fn masked_store(&self, e: Elem, value: V<'c>, to: V<'c>, mask: V<'c>) {
        let alignment =
            (self.common.alignment, IntegerAttribute::new(self.common.elem(Elem::I32), e.bytes() as i64).into());
        self.effect("llvm.intr.masked.store", &[value, to, mask], &[alignment]);
    }

    /// The address `index` elements of type `e` further on.
    pub fn offset(&self, base: V<'c>, index: V<'c>, e: Elem) -> V<'c> {
        let indices = DenseI32ArrayAttribute::new(self.common.context, &[i32::MIN]).into();
        self.op_typed(
            "llvm.getelementptr",
            &[base, index],
            &[
                (self.common.name("rawConstantIndices"), indices),
                (self.common.name("elem_type"), TypeAttribute::new(self.common.elem(e)).into()),
            ],
            self.common.ptr,
        )
    }

    /// The address a fixed number of bytes further on.
    pub fn offset_bytes(&self, base: V<'c>, bytes: i32) -> V<'c> {
        let indices = DenseI32ArrayAttribute::new(self.common.context, &[bytes]).into();
        self.op_typed(
            "llvm.getelementptr",
            &[base],
            &[
                (self.common.name("rawConstantIndices"), indices),
                (self.common.name("elem_type"), TypeAttribute::new(self.common.elem(Elem::I8)).into()),
            ],
            self.common.ptr,
        )
    }

    // Control.

    /// `for i in lo..hi step step`, with the loop's body built by `body`.
    pub fn for_each(&self, lo: V<'c>, hi: V<'c>, step: V<'c>, body: impl FnOnce(&Build<'c, 'b>, V<'c>)) {
        self.for_state(lo, hi, step, &[], |inner, i, _| {
            body(inner, i);
            Vec::new()
        });
    }

    /// The same, with values that go from one round to the next; what they are at the end comes back.
    pub fn for_state(
        &self,
        lo: V<'c>,
        hi: V<'c>,
        step: V<'c>,
        state: &[V<'c>],
        body: impl FnOnce(&Build<'c, 'b>, V<'c>, Vec<V<'c>>) -> Vec<V<'c>>,
    ) -> Vec<V<'c>> {
        let location = self.common.location;
        let types: Vec<Type<'c>> = state.iter().map(|v| v.r#type()).collect();
        let mut arguments = vec![(self.common.elem(Elem::I64), location)];
        arguments.extend(types.iter().map(|&t| (t, location)));
        let region = Region::new();
        let block: BlockRef<'c, 'c> = region.append_block(Block::new(&arguments));
        let argument = |k: usize| V::from(block.argument(k).expect("an argument for each value"));
        let inner = Build { block, ..*self };
        let next = body(&inner, argument(0), (1..=state.len()).map(argument).collect());
        inner.effect("scf.yield", &next, &[]);
        let op = self.append(
            OperationBuilder::new("scf.for", location)
                .add_operands(&[lo, hi, step])
                .add_operands(state)
                .add_results(&types)
                .add_regions([region]),
        );
        op.results().map(V::from).collect()
    }

    /// A loop whose body runs once or more. Given the state, the body says whether there is another round, the state for it, and
    /// further values; the last round's further values come back.
    pub fn do_while(
        &self,
        state: &[V<'c>],
        body: impl FnOnce(&Build<'c, 'b>, &[V<'c>]) -> (V<'c>, Vec<V<'c>>, Vec<V<'c>>),
    ) -> Vec<V<'c>> {
        let location = self.common.location;
        let block_of = |types: &[Type<'c>]| {
            let arguments: Vec<_> = types.iter().map(|&t| (t, location)).collect();
            let region = Region::new();
            let block: BlockRef<'c, 'c> = region.append_block(Block::new(&arguments));
            let values: Vec<V<'c>> =
                (0..types.len()).map(|k| block.argument(k).expect("an argument for each value").into()).collect();
            (region, Build { block, ..*self }, values)
        };
        let types_of = |values: &[V<'c>]| values.iter().map(|v| v.r#type()).collect::<Vec<Type<'c>>>();
        let (round, inner, arguments) = block_of(&types_of(state));
        let (again, next, further) = body(&inner, &arguments);
        let mut operands = vec![again];
        operands.extend(next.iter().chain(&further));
        inner.effect("scf.condition", &operands, &[]);
        let types = types_of(&operands[1..]);
        let (after, pass, arguments) = block_of(&types);
        pass.effect("scf.yield", &arguments[..state.len()], &[]);
        let op = self.append(
            OperationBuilder::new("scf.while", location)
                .add_operands(state)
                .add_results(&types)
                .add_regions([round, after]),
        );
        op.results().skip(state.len()).map(V::from).collect()
    }

    /// The values of one of two bodies; both yield as many, of the same types.
    pub fn if_else(
        &self,
        condition: V<'c>,
        yes: impl FnOnce(&Build<'c, 'b>) -> Vec<V<'c>>,
        no: impl FnOnce(&Build<'c, 'b>) -> Vec<V<'c>>,
    ) -> Vec<V<'c>> {
        let branch = || {
            let region = Region::new();
            let block: BlockRef<'c, 'c> = region.append_block(Block::new(&[]));
            (region, Build { block, ..*self })
        };
        let ((yes_region, yes_build), (no_region, no_build)) = (branch(), branch());
        let (chosen, other) = (yes(&yes_build), no(&no_build));
        yes_build.effect("scf.yield", &chosen, &[]);
        no_build.effect("scf.yield", &other, &[]);
        let types: Vec<Type<'c>> = other.iter().map(|v| v.r#type()).collect();
        let op = self.append(
            OperationBuilder::new("scf.if", self.common.location)
                .add_operands(&[condition])
                .add_results(&types)
                .add_regions([yes_region, no_region]),
        );
        op.results().map(V::from).collect()
    }

    /// A condition that hardly ever holds: what is done then is placed out of the way, and registers are spilled and filled there. (A call
    /// has all vectors spilled. Where both ways met again, constants were fetched anew for each leaf of a sum: 1.5 % of N-body's forces.)
    pub fn rarely(&self, condition: V<'c>) -> V<'c> {
        let never = self.int(Elem::I1, 0);
        self.op("llvm.intr.expect", &[condition, never], Elem::I1)
    }

    /// Whether a mask is true in some lane, as one bit.
    pub fn any(&self, mask: V<'c>) -> V<'c> {
        if self.lanes == 1 {
            return mask;
        }
        const NE: i64 = 1;
        let one = self.with_lanes(1);
        let ty: Type<'c> = IntegerType::new(self.common.context, self.lanes).into();
        let bits = one.op_typed("llvm.bitcast", &[mask], &[], ty);
        let zero = IntegerAttribute::new(ty, 0).into();
        let zero = one.op_typed("arith.constant", &[], &[(self.common.value, zero)], ty);
        one.compare("arith.cmpi", NE, bits, zero)
    }

    /// A call of a function outside, which only computes. [`Common::declare`] makes it known to the module at the end.
    pub fn call(&self, function: &str, arguments: &[V<'c>], result: Type<'c>) -> V<'c> {
        self.op_typed("llvm.call", arguments, &self.callee(function, arguments, Some(result)), result)
    }

    /// A call without a result.
    pub fn call_for_effect(&self, function: &str, arguments: &[V<'c>]) {
        self.effect("llvm.call", arguments, &self.callee(function, arguments, None));
    }

    /// A call's attributes; the function will be declared.
    fn callee(
        &self,
        function: &str,
        arguments: &[V<'c>],
        result: Option<Type<'c>>,
    ) -> [(Identifier<'c>, Attribute<'c>); 3] {
        let types = arguments.iter().map(|a| a.r#type()).collect();
        self.common.calls.borrow_mut().insert(function.to_string(), (types, result));
        let context = self.common.context;
        let segments = DenseI32ArrayAttribute::new(context, &[arguments.len() as i32, 0]).into();
        [
            (self.common.name("callee"), FlatSymbolRefAttribute::new(context, function).into()),
            (self.common.name("operandSegmentSizes"), segments),
            (self.common.name("op_bundle_sizes"), DenseI32ArrayAttribute::new(context, &[]).into()),
        ]
    }

    /// A comparison; the predicate is MLIR's number for it.
    pub fn compare(&self, name: &str, predicate: i64, a: V<'c>, b: V<'c>) -> V<'c> {
        self.op_typed(
            name,
            &[a, b],
            &[(self.common.name("predicate"), self.common.i64_attribute(predicate))],
            self.ty(Elem::I1),
        )
    }

    pub fn select(&self, condition: V<'c>, yes: V<'c>, no: V<'c>) -> V<'c> {
        self.op_typed("arith.select", &[condition, yes, no], &[], yes.r#type())
    }
}
